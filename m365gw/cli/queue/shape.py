"""`m365gw queue shape`: how old the queue is, and whose mail it is (after Postfix's qshape).

A column counts the recipients that have waited so many minutes, up to the next column. A mailbox
or domain with much in the first columns is busy; one with much in the last has trouble.
"""

from __future__ import annotations

import json
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator

import click

from m365gw.cli.queue.filters import Filters, with_filters
from m365gw.cli.queue.progress import counting
from m365gw.cli.spool_dir import Place, looking, with_place
from m365gw.cli.words import escaped, printed
from m365gw.spool.browse import Queued

LIMITS = (5, 10, 20, 40, 80, 160, 320, 640, 1280)  # minutes; one column more for what is older
UNREADABLE = "(cannot be read)"

Rows = dict[str, list[int]]  # the total, then a number for each column


def _mailbox(queued: Queued) -> Iterable[str]:
    return [queued.origin.mailbox] * len(queued.open_recipients)


def _sender(queued: Queued) -> Iterable[str]:
    return [_domain(queued.envelope.sender)] * len(queued.open_recipients)


def _recipient(queued: Queued) -> Iterable[str]:
    return [_domain(one.recipient.address) for one in queued.open_recipients]


_KINDS: dict[str, Callable[[Queued], Iterable[str]]] = {
    "mailbox": _mailbox,
    "sender": _sender,
    "recipient": _recipient,
}


@click.command(short_help="Show how long mail has waited, by mailbox or domain.")
@click.option(
    "--by",
    type=click.Choice(list(_KINDS)),
    default="mailbox",
    show_default=True,
    help="A row for each mailbox, or domain of senders or recipients.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@with_place
@with_filters
def shape(place: Place, filters: Filters, by: str, as_json: bool) -> None:
    """Show how long mail has waited, by mailbox or domain: a table of recipients by minutes."""
    with looking(place) as spool:
        rows = counted_by(_KINDS[by], counting(filters.messages(spool), "read"), time.time())
    printed(_objects(rows, by) if as_json else _table(rows, by))


def counted_by(
    names: Callable[[Queued], Iterable[str]], messages: Iterable[Queued], now: float
) -> Rows:
    """The rows, the fullest first, after one for all. `now` in seconds since 1970."""
    rows: Rows = {}
    total = rows["TOTAL"] = [0] * (len(LIMITS) + 2)
    for queued in messages:
        column = 1 + bisect_left(LIMITS, (now - queued.entry.arrived_at) / 60)
        for name in [UNREADABLE] if queued.damage else names(queued):
            row = rows.setdefault(name, [0] * (len(LIMITS) + 2))
            for each in (row, total):
                each[0] += 1
                each[column] += 1
    return dict(sorted(rows.items(), key=lambda pair: (pair[1] is not total, -pair[1][0], pair[0])))


def _domain(address: str) -> str:
    return address.rpartition("@")[2].casefold() or "<>"


def _table(rows: Rows, by: str) -> Iterator[str]:
    width = max(len(escaped(name)) for name in [*rows, by.upper()])
    yield f"{by.upper():>{width}}" + "".join(
        f"{head:>7}" for head in ("T", *LIMITS, f"{LIMITS[-1]}+")
    )
    for name, row in rows.items():
        yield f"{escaped(name):>{width}}" + "".join(f"{number:>7}" for number in row)


def _objects(rows: Rows, by: str) -> Iterator[str]:
    for name, (total, *columns) in rows.items():
        older = [*(str(limit) for limit in LIMITS), "older"]
        yield json.dumps(
            {by: name, "total": total, "minutes": dict(zip(older, columns, strict=True))}
        )
