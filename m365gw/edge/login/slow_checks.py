"""Chosen passwords compared with their hashes: in a few threads, behind a queue with a bound.

Each comparison costs tens of milliseconds, and the threads are few, so what counts is who comes
first: the one whose address has failed least and has the fewest comparisons waiting; among equals
the one who came last. Whoever storms the gateway with wrong passwords waits behind everybody else,
and so does the first wave of a storm, that has not failed yet. When the queue is full the one who
would come last is told 454 4.7.0 at once.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Final

from attrs import field, frozen
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from m365gw.directory.passwords import matching
from m365gw.smtp.replies import Refused, Reply

BUSY: Final = Reply(454, "4.7.0", "Too many logins at this moment; try again later")

Hashes = tuple[str, ...]
InThread = Callable[[Callable[[Hashes, str], int | None], Hashes, str], "Deferred[int | None]"]


@frozen(order=True)
class _Check:
    """One comparison that waits. The smallest comes first."""

    rank: float
    number: int  # counts downwards: the newest is the smallest
    who: str = field(order=False)
    hashes: Hashes = field(order=False, repr=False)
    password: str = field(order=False, repr=False)
    result: Deferred[int | None] = field(order=False)


class SlowChecks:
    """The queue, and the threads behind it.

    `in_thread` calls a function with two arguments in a thread; no more than `threads` calls are
    under way at a time.
    """

    def __init__(self, in_thread: InThread, threads: int, most_waiting: int) -> None:
        self._in_thread = in_thread
        self._idle = threads
        self.most_waiting = most_waiting
        self._waiting: list[_Check] = []  # a heap
        self._of: Counter[str] = Counter()  # comparisons of each address
        self._number = count(0, -1)

    def check(self, who: str, failed: float, hashes: Hashes, password: str) -> Deferred[int | None]:
        """The place of the hash that the password belongs to, or None.

        `who` is the address it is for, `failed` how often it has failed. Fails with Refused (454)
        when others come first and there are too many, and as the comparison itself does.
        """
        result: Deferred[int | None] = Deferred()
        check = _Check(failed + self._of[who], next(self._number), who, hashes, password, result)
        self._of[who] += 1
        heapq.heappush(self._waiting, check)
        self._go_on()
        if len(self._waiting) > self.most_waiting:
            self._turn_away(max(self._waiting))
        return result

    def of(self, who: str) -> int:
        """How many comparisons of this address wait or run."""
        return self._of[who]

    def _go_on(self) -> None:
        while self._idle and self._waiting:
            self._idle -= 1
            check = heapq.heappop(self._waiting)
            self._in_thread(matching, check.hashes, check.password).addBoth(self._done, check)

    def _done(self, outcome: int | None | Failure, check: _Check) -> None:
        self._idle += 1
        self._leave(check)
        self._go_on()
        check.result.callback(outcome)

    def _turn_away(self, last: _Check) -> None:
        self._waiting.remove(last)
        heapq.heapify(self._waiting)
        self._leave(last)
        last.result.errback(Refused(BUSY))

    def _leave(self, check: _Check) -> None:
        self._of[check.who] -= 1
        if not self._of[check.who]:
            del self._of[check.who]
