"""Statistics of the bench: percentiles, spreads, and ratios that stay within a round."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from attrs import frozen


@frozen
class Spread:
    """The median of some values, with the smallest, the largest and how many there were."""

    median: float
    least: float
    most: float
    count: int


def spread(values: Iterable[float]) -> Spread | None:
    """The spread of values; None when there are none."""
    known = list(values)
    return Spread(median(known), min(known), max(known), len(known)) if known else None


def ratios(ours: Sequence[float | None], base: Sequence[float | None]) -> list[float]:
    """Our figure by the base's, round by round; rounds that lack either are left out.

    Only within one round were both measured on the same machine in the same mood.
    """
    return [one / other for one, other in zip(ours, base, strict=True) if one is not None and other]


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the sorted values that so many of them (0 to 1) do not exceed."""
    if not ordered:
        raise ValueError("there is no percentile of nothing")
    rank = -(-len(ordered) * share // 1)  # rounded up
    return ordered[min(max(int(rank), 1), len(ordered)) - 1]
