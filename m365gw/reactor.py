"""The reactor of the gateway: Twisted's on epoll, which does less for each event.

Twisted sets up a context for its log around each readable socket, so that old-style log lines can
be told apart. Ours come with what they are about (`events`), and a message is some six such events:
the context cost a tenth of it. All else is Twisted's own.

Importing this module installs it, as the reactor has to be chosen before anything imports it. One
that is chosen already (`twistd --reactor`), or a system without epoll, is left alone.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

from twisted.internet.main import installReactor
from twisted.logger import Logger

_log = Logger()

with suppress(ImportError):  # not Linux
    from twisted.internet.epollreactor import EPollReactor

    class Reactor(EPollReactor):
        """Waits for events and hands each to whom it concerns."""

        def doPoll(self, timeout: float | None) -> None:
            """One turn: wait so many seconds at most (None: as long as it takes)."""
            selectables: dict[int, Any] = self._selectables
            most = len(selectables)
            for fd, event in self._poller.poll(-1 if timeout is None else timeout, most):
                selectable = selectables.get(fd)
                if selectable is None:
                    continue  # an earlier event of this turn has closed it
                try:
                    self._doReadOrWrite(selectable, fd, event)  # type: ignore[no-untyped-call]
                except Exception:
                    _log.failure("An event could not be dealt with")

        doIteration = doPoll

    if "twisted.internet.reactor" not in sys.modules:
        installReactor(Reactor())  # type: ignore[no-untyped-call]
