"""The figures as a table, with ratios to the base."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median

from attrs import frozen

from bench.figures import ratios, spread
from bench.measure import QUEUED, Figures
from bench.rounds import Round

_MIB = 2**20


@frozen
class Row:
    """One figure: its name, how it is read and how it is written."""

    title: str
    value: Callable[[Figures], float | None]
    shape: str  # of str.format
    is_compared: bool = True


ROWS = (
    Row("messages/s", lambda figures: figures.rate, "{:,.0f}"),
    Row("  by smtp-source", lambda figures: figures.smtp_source, "{:,.0f}"),
    Row("CPU s/1,000", lambda figures: figures.cpu, "{:.3f}"),
    Row("p50 ms", lambda figures: 1000 * figures.p50, "{:.2f}"),
    Row("p99 ms", lambda figures: 1000 * figures.p99, "{:.2f}"),
    Row("PSS MiB", lambda figures: figures.memory / _MIB, "{:.0f}"),
    Row(
        f"  {QUEUED:,} queued",
        lambda figures: figures.memory_queued and figures.memory_queued / _MIB,
        "{:.0f}",
    ),
    Row("last hop CPU", lambda figures: figures.last_hop, "{:.3f}", is_compared=False),
    Row("generator CPU", lambda figures: figures.generator, "{:.0%}", is_compared=False),
)
NAME, FIGURE, RATIO = 17, 22, 18  # widths


def table(title: str, rounds: Sequence[Round[Figures]], base: str) -> Iterator[str]:
    """The lines of one table: each figure as the rivals' medians over the rounds.

    Beside each rival's figure stands its ratio to the base: median, least and most of the rounds.
    """
    rivals = [rival for rival in rounds[0] if rival != base]
    count = "1 round" if len(rounds) == 1 else f"{len(rounds)} rounds"
    yield f"{title} ({count})"
    heads = "".join(f"{rival:>{FIGURE}}{'/ base':>{RATIO}}" for rival in rivals)
    yield f"{'':{NAME}}{base:>{FIGURE}}{heads}"
    for row in ROWS:
        own = [row.value(one[base]) for one in rounds]
        cells = _figure(row, own)
        for rival in rivals:
            values = [row.value(one[rival]) for one in rounds]
            cells += _figure(row, values) + _ratio(row, values, own)
        if cells.strip("- "):
            yield f"{row.title:{NAME}}{cells}"


def _figure(row: Row, values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    text = row.shape.format(median(known)) if known else "-"
    return f"{text:>{FIGURE}}"


def _ratio(row: Row, values: Sequence[float | None], base: Sequence[float | None]) -> str:
    found = spread(ratios(values, base)) if row.is_compared else None
    text = f"{found.median:.2f} ({found.least:.2f}-{found.most:.2f})" if found else ""
    return f"{text:>{RATIO}}"
