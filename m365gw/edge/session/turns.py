"""Turns: the clients of one reactor are answered some commands each, one after the other.

Without them a client that pipelines thousands of cheap commands would let all others wait until
the last of its own is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

MOST_STEPS: Final = 100  # of one client in one turn: a few milliseconds


class Turns:
    """The turns of one client. `again` is called when its next one comes."""

    def __init__(self, clock: IReactorTime, again: Callable[[], object]) -> None:
        self._clock = clock
        self._again = again
        self._next: IDelayedCall | None = None
        self.is_others = False  # the others have their turn now

    def pass_on(self) -> None:
        """So many steps were taken: now it is the others' turn."""
        self.is_others = True
        self._next = self._clock.callLater(0, self._ours)

    def stop(self) -> None:
        """No turn comes any more."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _ours(self) -> None:
        self._next = None
        self.is_others = False
        self._again()
