"""How late the reactor is: looked at once a second, and counted.

What blocks it (a slow disk, too much work for one processor) shows here first.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from m365gw.events import EventLog

EVERY: Final = 1.0  # seconds


class Lag:
    """Looks from `start` to `stop`. `now` is a clock that nobody sets."""

    def __init__(
        self, reactor: IReactorTime, log: EventLog, now: Callable[[], float] = monotonic
    ) -> None:
        self._reactor = reactor
        self._log = log
        self._now = now
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        """Look from now on."""
        self._due = self._now() + EVERY
        self._next = self._reactor.callLater(EVERY, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _look(self) -> None:
        self._log.count("reactor.late", seconds=max(0.0, self._now() - self._due))
        self.start()
