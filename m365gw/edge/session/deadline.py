"""One deadline of a connection, moved many times a second and seldom reached.

Moving it is one assignment: the timer behind it is left alone and looks, when it fires, whether
the deadline has moved on. A timer of the reactor for each command would cost more than most
commands do.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Deadline:
    """Calls `expired` once when the time set last has passed without being moved or cleared."""

    def __init__(self, clock: IReactorTime, expired: Callable[[], object]) -> None:
        self._clock = clock
        self._expired = expired
        self._at: float | None = None
        self._timer: IDelayedCall | None = None

    def set(self, seconds: float) -> None:
        """Expire so many seconds from now, instead of what was set before."""
        self._at = self._clock.seconds() + seconds
        if self._timer is None:
            self._timer = self._clock.callLater(seconds, self._look)
        elif self._timer.getTime() > self._at:
            self._timer.reset(seconds)

    def clear(self) -> None:
        """Do not expire, until set again."""
        self._at = None

    def stop(self) -> None:
        """Never expire any more, and leave no timer behind."""
        self._at = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._at is None:
            return
        left = self._at - self._clock.seconds()
        if left > 0:
            self._timer = self._clock.callLater(left, self._look)
        else:
            self._at = None
            self._expired()
