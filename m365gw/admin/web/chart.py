"""Lines over time as the server draws them: numbers to the paths of an SVG, nothing in the browser.

The picture is stretched to its place, so its units are steps across and tenths of a percent down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen

HEIGHT: Final = 1000


@frozen
class Series:
    """One line. `name` chooses its colour."""

    name: str
    label: str
    total: int
    line: str
    area: str


@frozen
class Chart:
    """All lines on one scale, from 0 to `top`."""

    width: int
    height: int
    top: int
    rules: Sequence[int]  # where the horizontal lines are
    times: Sequence[str]  # below, evenly spread
    series: Sequence[Series]


def chart(
    lines: Mapping[tuple[str, str], Sequence[int]], totals: Mapping[str, int], times: Sequence[str]
) -> Chart:
    """A chart of equally long lines, by name and label; `totals` by name."""
    counts = list(lines.values())
    top = round_top(max((max(each, default=0) for each in counts), default=0))
    width = max(1, max((len(each) for each in counts), default=1) - 1)
    return Chart(
        width,
        HEIGHT,
        top,
        [0, HEIGHT // 2, HEIGHT],
        times,
        [_series(name, label, totals[name], each, top) for (name, label), each in lines.items()],
    )


def round_top(most: int) -> int:
    """The next number above that is easily read: 1, 2 or 5 times a power of ten, at least 4."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if factor * power >= max(most, 4):
                return factor * power
        power *= 10


def _series(name: str, label: str, total: int, counts: Sequence[int], top: int) -> Series:
    points = [f"{x} {HEIGHT - round(HEIGHT * count / top)}" for x, count in enumerate(counts)]
    line = "M" + "L".join(points) if points else ""
    area = f"{line}L{len(points) - 1} {HEIGHT}L0 {HEIGHT}Z" if points else ""
    return Series(name, label, total, line, area)
