"""The figures as a table, with ratios to the base."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median

from attrs import frozen

from bench.figures import ratios, spread
from bench.measure import Figures
from bench.rounds import Round

_MIB = 2**20


@frozen
class Column:
    """One figure: its name, how it is read and how it is written."""

    title: str
    value: Callable[[Figures], float | None]
    shape: str  # of str.format
    is_compared: bool = True


COLUMNS = (
    Column("messages/s", lambda figures: figures.rate, "{:,.0f}"),
    Column("CPU s/1,000", lambda figures: figures.cpu, "{:.3f}"),
    Column("p50 ms", lambda figures: 1000 * figures.p50, "{:.2f}"),
    Column("p99 ms", lambda figures: 1000 * figures.p99, "{:.2f}"),
    Column("PSS MiB", lambda figures: figures.memory / _MIB, "{:.0f}"),
    Column(
        "with 10,000",
        lambda figures: figures.memory_queued and figures.memory_queued / _MIB,
        "{:.0f}",
    ),
    Column("smtp-source", lambda figures: figures.smtp_source, "{:,.0f}/s"),
    Column("last hop CPU", lambda figures: figures.last_hop, "{:.3f}", is_compared=False),
    Column("generator", lambda figures: figures.generator, "{:.0%}", is_compared=False),
)
NAME, WIDTH = 28, 18


def table(title: str, rounds: Sequence[Round[Figures]], base: str) -> Iterator[str]:
    """The lines of one table: each rival's medians, then its ratios to the base.

    A ratio is the median over the rounds, with the least and the most.
    """
    columns = [column for column in COLUMNS if _has_values(column, rounds)]
    count = "1 round" if len(rounds) == 1 else f"{len(rounds)} rounds"
    yield f"{title} ({count})"
    yield "".ljust(NAME) + "".join(column.title.rjust(WIDTH) for column in columns)
    rivals = list(rounds[0])
    rivals.sort(key=lambda rival: rival != base)
    for rival in rivals:
        yield rival.ljust(NAME) + "".join(
            _cell(column, rounds, rival).rjust(WIDTH) for column in columns
        )
    for rival in rivals[1:]:
        yield f"{rival} / base".ljust(NAME) + "".join(
            _ratio(column, rounds, rival, base).rjust(WIDTH) for column in columns
        )


def _has_values(column: Column, rounds: Sequence[Round[Figures]]) -> bool:
    return any(column.value(figures) is not None for one in rounds for figures in one.values())


def _cell(column: Column, rounds: Sequence[Round[Figures]], rival: str) -> str:
    values = [column.value(one[rival]) for one in rounds]
    known = [value for value in values if value is not None]
    return column.shape.format(median(known)) if known else "-"


def _ratio(column: Column, rounds: Sequence[Round[Figures]], rival: str, base: str) -> str:
    found = spread(
        ratios(
            [column.value(one[rival]) for one in rounds],
            [column.value(one[base]) for one in rounds],
        )
    )
    if found is None or not column.is_compared:
        return ""
    return f"{found.median:.2f} ({found.least:.2f}-{found.most:.2f})"
