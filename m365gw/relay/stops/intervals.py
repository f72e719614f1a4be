"""Spans of time that add up, counted once where they overlap. Pure.

There may only be so many: beyond a bound the two oldest become one that covers both and the gap
between them, which is the lenient side for what they are used for here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Generic, TypeVar

MOST = 100

Name = TypeVar("Name", bound=Hashable)


class Intervals:
    """A union of spans, each a start and an end in seconds."""

    def __init__(self, spans: Iterable[Sequence[float]] = ()) -> None:
        self.spans: list[tuple[float, float]] = []
        for start, end in spans:
            self.add(float(start), float(end))

    def add(self, start: float, end: float) -> None:
        """Adds one span; one that ends before it starts (a clock set back) is none."""
        if end <= start:
            return
        apart = []
        for span in self.spans:
            if span[1] < start or span[0] > end:
                apart.append(span)
            else:
                start, end = min(start, span[0]), max(end, span[1])
        self.spans = sorted([*apart, (start, end)])
        if len(self.spans) > MOST:
            self.spans[:2] = [(self.spans[0][0], self.spans[1][1])]

    def add_all(self, others: Intervals) -> None:
        """Adds every span of another union."""
        for start, end in others.spans:
            self.add(start, end)

    def within(self, start: float, end: float) -> float:
        """Seconds between two times that lie in a span."""
        return sum(max(0.0, min(last, end) - max(first, start)) for first, last in self.spans)


class History(Generic[Name]):
    """Intervals of many things, by name."""

    def __init__(self) -> None:
        self.intervals: dict[Name, Intervals] = {}

    def add(self, name: Name, start: float, end: float) -> None:
        """Adds one span to a thing."""
        self.intervals.setdefault(name, Intervals()).add(start, end)

    def forget(self, before: float) -> None:
        """Lets go of things whose spans all ended before this time."""
        for name, spans in list(self.intervals.items()):
            if not spans.spans or spans.spans[-1][1] < before:
                del self.intervals[name]

    def union(self, names: Iterable[Name]) -> Intervals:
        """The spans of all these things together, to be added to at will."""
        together = Intervals()
        for name in names:
            if name in self.intervals:
                together.add_all(self.intervals[name])
        return together
