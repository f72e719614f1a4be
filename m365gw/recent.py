"""What happened lately, message by message: the last events of the log that are about one.

Kept in memory for the timeline of a message; the log has them for longer. What a look at it costs
does not depend on how much mail there is, and neither does the memory.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

MOST: Final = 10_000  # events: some ten megabytes


@frozen
class Happened:
    """One event. `at` is in seconds since 1970."""

    at: float
    event: str
    queue_id: str
    note: str
    fields: Mapping[str, Any]


class Recent:
    """The last events about messages."""

    def __init__(self, clock: Callable[[], float], most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._order: deque[str] = deque()  # the message of each event, the oldest first
        self._by_id: defaultdict[str, deque[Happened]] = defaultdict(deque)

    def heard(self, event: str, queue_id: str, note: str, fields: Mapping[str, Any]) -> None:
        """An event was logged (`EventLog.listeners`)."""
        if len(queue_id) != 13:  # NOQUEUE, or about no message at all
            return
        self._by_id[queue_id].append(Happened(self._clock(), event, queue_id, note, fields))
        self._order.append(queue_id)
        if len(self._order) > self._most:
            oldest = self._order.popleft()
            events = self._by_id[oldest]
            events.popleft()
            if not events:
                del self._by_id[oldest]

    def of(self, queue_id: str) -> list[Happened]:
        """What is known of this message, the oldest first."""
        return list(self._by_id.get(queue_id, ()))

    def last(self, count: int) -> list[str]:
        """The messages something happened to last, the newest first, each once."""
        found: dict[str, None] = {}
        for queue_id in reversed(self._order):
            found[queue_id] = None
            if len(found) == count:
                break
        return list(found)
