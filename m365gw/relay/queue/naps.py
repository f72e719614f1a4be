"""Mailboxes that may not send for a while: each sleeps until it may, or until somebody wakes it.

A mailbox is known by its tag, as the schedule knows it. While it sleeps the schedule gives none of
its messages. Times are in seconds since 1970; `inf` waits to be woken.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf

from attrs import define, field

from m365gw.spool.schedule import Schedule


@define
class Naps:
    """Who sleeps, and until when."""

    _schedule: Schedule
    _heap: list[tuple[float, int]] = field(factory=list)  # may hold naps that are over
    _until: dict[int, float] = field(factory=dict)

    @property
    def next_end(self) -> float | None:
        """When to call `end_due` again; None: nobody sleeps with an alarm set."""
        return self._heap[0][0] if self._heap else None

    def begin(self, lane: int, until: float) -> None:
        """Sleep until then; another nap of the same mailbox is replaced."""
        self._schedule.pause(lane)
        if self._until.get(lane) != until:
            self._until[lane] = until
            if until < inf:
                heappush(self._heap, (until, lane))

    def end(self, lane: int) -> None:
        """Wake up, asleep or not."""
        self._until.pop(lane, None)
        self._schedule.resume(lane)

    def end_due(self, now: float) -> None:
        """Wake those whose time has come."""
        while self._heap and self._heap[0][0] <= now:
            at, lane = heappop(self._heap)
            if self._until.get(lane) == at:
                self.end(lane)

    def end_all(self) -> None:
        """Wake everybody."""
        for lane in list(self._until):
            self.end(lane)
