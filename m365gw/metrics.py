"""What is counted: the one place, fed by the log, read by the console and by /metrics.

Every event of the log is heard here, also those that are below its level and are not written, and
those that happen too often to be logged at all (`EventLog.count`). Which event counts as what
stands in `metric_rules`. Beside the totals since the start there is the flow by the minute, for a
day: a few kilobytes, and gone with the process.

Nothing here fails. However many names there are, no more than `MOST_SERIES` are told apart.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from attrs import define, field

from m365gw.metric_rules import RULES, Count, Fields, Kind, Values
from m365gw.metric_table import METRICS, Sort

__all__ = ["MINUTES", "Histogram", "Kind", "Metrics"]

MINUTES: Final = 1440  # of the flow that is kept
MOST_SERIES: Final = 10_000
OTHERS: Final = "others"  # the label of what is beyond


@define
class Histogram:
    """How often a value was in which bucket: up to its bound, the last one without."""

    bounds: tuple[float, ...]
    total: float = 0.0
    counts: list[int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """One more."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Metrics:
    """Counts since the process began. `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # By name, and the values of its labels.
        self.totals: defaultdict[tuple[str, Values], float] = defaultdict(float)
        self.histograms = {
            each.name: Histogram(each.bounds)
            for each in METRICS.values()
            if each.sort is Sort.HISTOGRAM
        }
        self.began_at = clock()
        self.heard_of = 0  # events that counted, so that it can be seen when there was one
        self._minute = int(self.began_at) // 60  # the newest one
        self._flow = {kind: array("I", [0]) * MINUTES for kind in Kind}

    def heard(self, event: str, _queue_id: str, _note: str, fields: Fields) -> None:
        """Something happened (`EventLog.listeners`)."""
        for rule in RULES.get(event, ()):
            if isinstance(rule, Count):
                self._count(rule, fields)
            elif (value := rule.value(fields)) is not None:
                self.histograms[rule.name].observe(value)

    def _count(self, rule: Count, fields: Fields) -> None:
        self.heard_of += 1
        series = rule.name, rule.values(fields)
        if series not in self.totals and len(self.totals) >= MOST_SERIES:
            series = rule.name, (OTHERS,) * len(series[1])
        self.totals[series] += rule.amount(fields)
        kind = rule.kind(fields)
        if kind is not None:
            self._go_on()
            self._flow[kind][self._minute % MINUTES] += 1

    def flow(self, minutes: int = MINUTES, step: int = 1) -> dict[Kind, list[int]]:
        """What flowed in the last minutes, the newest last, as sums of `step` minutes each.

        Steps are cut at whole multiples of their length, so that a chart does not tremble; the
        newest step may have only begun.
        """
        self._go_on()
        end = (self._minute // step + 1) * step
        begin = end - minutes
        return {
            kind: [
                sum(self._at(counts, minute) for minute in range(start, start + step))
                for start in range(begin, end, step)
            ]
            for kind, counts in self._flow.items()
        }

    def _at(self, counts: array[int], minute: int) -> int:
        is_kept = self._minute - MINUTES < minute <= self._minute
        return counts[minute % MINUTES] if is_kept else 0

    def _go_on(self) -> None:
        """Begin the minutes that have come since, with noughts."""
        now = int(self._clock()) // 60
        if now == self._minute:
            return
        for minute in range(max(self._minute + 1, now - MINUTES + 1), now + 1):
            for counts in self._flow.values():
                counts[minute % MINUTES] = 0
        self._minute = max(self._minute, now)
