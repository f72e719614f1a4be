"""The reactor of the gateway: Twisted's on epoll, which does less for each event.

Who wants to write is tried at the end of the turn, as nearly every socket takes what it gets. Only
then it is waited for: Twisted does that first, which costs two system calls and an event each time.

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
    from select import EPOLLOUT

    from twisted.internet.epollreactor import EPollReactor

    # What it calls of Twisted carries no annotations.
    class Reactor(EPollReactor):
        """Waits for events and hands each to whom it concerns."""

        def __init__(self) -> None:
            self._untried: dict[Any, None] = {}  # who wants to write and was not tried yet
            super().__init__()  # type: ignore[no-untyped-call]

        def addWriter(self, writer: Any) -> None:
            """Somebody wants to write."""
            if writer.fileno() not in self._writes:
                self._untried[writer] = None

        def removeWriter(self, writer: Any) -> None:
            """Somebody has nothing more to write."""
            if writer in self._untried:
                del self._untried[writer]
            else:
                super().removeWriter(writer)  # type: ignore[no-untyped-call]

        def getWriters(self) -> list[Any]:
            """All who want to write."""
            return [*super().getWriters(), *self._untried]  # type: ignore[no-untyped-call]

        def removeAll(self) -> list[Any]:
            """Forget everybody; gives who there was."""
            untried, self._untried = self._untried, {}
            return list({*super().removeAll(), *untried})  # type: ignore[no-untyped-call]

        def _try_writers(self) -> None:
            """Let each write; who is not done by that is waited for."""
            for writer in list(self._untried):
                if writer in self._untried:
                    self._tell(writer, writer.fileno(), EPOLLOUT)
                if writer in self._untried:
                    del self._untried[writer]
                    super().addWriter(writer)  # type: ignore[no-untyped-call]

        def doPoll(self, timeout: float | None) -> None:
            """One turn: wait so many seconds at most (None: as long as it takes)."""
            if self._untried:
                self._try_writers()
                timeout = 0.0  # what that has brought does not wait
            selectables: dict[int, Any] = self._selectables
            most = len(selectables)
            for fd, event in self._poller.poll(-1 if timeout is None else timeout, most):
                selectable = selectables.get(fd)
                if selectable is not None:  # else an earlier event of this turn has closed it
                    self._tell(selectable, fd, event)

        doIteration = doPoll

        def _tell(self, selectable: Any, fd: int, event: int) -> None:
            try:
                self._doReadOrWrite(selectable, fd, event)  # type: ignore[no-untyped-call]
            except Exception:
                _log.failure("An event could not be dealt with")

    if "twisted.internet.reactor" not in sys.modules:
        installReactor(Reactor())  # type: ignore[no-untyped-call]
