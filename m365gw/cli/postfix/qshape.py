"""`qshape`: how many recipients wait in a queue, by domain and by age.

The rows are domains, the columns ages in minutes: T the total, then each column the mail older
than the column before and younger than its head. Lists `incoming` and `active` when no queue is
named, as Postfix's does. Options are those of Debian's qshape(1); exit code 255 for a wrong
command line.
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from attrs import define, frozen

from m365gw.cli.postfix.call import Call, Fatal
from m365gw.cli.postfix.listing import NULL_SENDER
from m365gw.cli.postfix.queues import NAMES, Queues, service
from m365gw.spool.browse import Queued

_USAGE = Fatal(
    "usage: qshape [-slp] [-b bucket_count] [-t bucket_time] [-m min_subdomains] "
    "[-w terminal_width] [-n top_domains] [-c config_dir] [queue_name ...]",
    255,
)
_NARROWEST = 18  # columns a domain gets, however many numbers follow it
_TERMINAL_ROWS = 20  # domains shown on a terminal
_PARENT = re.compile(r"\.?[^.]+\.(.*\.)")


@define
class Shape:
    """What the options ask for."""

    by_sender: bool = False
    with_parents: bool = False
    is_linear: bool = False
    buckets: int = 10
    tick: int = 5  # minutes
    fewest_subdomains: int = 5  # of a parent domain that is shown
    width: int = 80
    most_rows: int = 0  # 0: all

    def bucket(self, age: float) -> int:
        """Which column an age in seconds belongs to; 1 is the youngest."""
        ticks = age / (60 * self.tick)
        if ticks < 1:
            return 1
        bucket = int(ticks + 1) if self.is_linear else 2 + int(math.log(ticks) / math.log(2))
        return min(bucket, self.buckets)

    def heads(self) -> Iterator[str]:
        """What stands above the columns: T, and the age in minutes that each ends at."""
        yield "T"
        edge = 0
        for _ in range(1, self.buckets):
            edge += edge if edge and not self.is_linear else self.tick
            yield str(edge)
        yield f"{edge}+"


@frozen
class Counts:
    """Recipients by domain and column (0: all of them), and subdomains by parent."""

    rows: defaultdict[str, Counter[int]]
    subdomains: Counter[str]


def qshape(call: Call) -> int:
    """The command. Raises Fatal."""
    shape = _shape(call)
    counts = Counts(defaultdict(Counter), Counter())
    counts.rows["TOTAL"][0] += 0
    active = service(call).active
    with call.spool() as spool:
        for name in call.arguments or ("incoming", "active"):
            if name in NAMES:
                _count(Queues(spool, active).messages((name,), call), shape, counts, time.time())
            else:
                call.stderr.write(f"Can't stat {name}: No such file or directory\n".encode())
    call.stdout.write("".join(_table(shape, counts)).encode("utf-8", "replace"))
    return 0


def _shape(call: Call) -> Shape:
    shape = Shape(most_rows=_TERMINAL_ROWS if call.stdout.isatty() else 0)
    for letter, value in call.options("lhc:psw:b:t:m:n:N:", _USAGE):
        number = int(value) if value.isdecimal() else 0
        match letter:
            case "h":
                raise _USAGE
            case "l":
                shape.is_linear = True
            case "p":
                shape.with_parents = True
            case "s":
                shape.by_sender = True
            case "w" if number > 80:
                shape.width = number
            case "b" if number:
                shape.buckets = number
            case "t" if number:
                shape.tick = number
            case "m" if number:
                shape.fewest_subdomains = number
            case "n" if shape.most_rows:
                shape.most_rows = number
    return shape


def _count(messages: Iterable[Queued], shape: Shape, counts: Counts, now: float) -> None:
    for queued in messages:
        bucket = shape.bucket(now - int(queued.entry.arrived_at))
        waiting = [record.recipient.address for record in queued.open_recipients]
        for address in [queued.envelope.sender] if shape.by_sender else waiting:
            counts.rows["TOTAL"].update((0, bucket))
            _count_domain(_domain(address), bucket, shape, counts)


def _count_domain(domain: str, bucket: int, shape: Shape, counts: Counts) -> None:
    """Count one recipient for its domain, and for the domains above it if they are wanted."""
    is_new = False
    while True:
        row = counts.rows[domain]
        counts.subdomains[domain] += is_new
        is_new = not row
        row.update((0, bucket))
        parent = _PARENT.match(domain)
        if not shape.with_parents or parent is None:
            return
        domain = f".{domain[parent.start(1) :]}"


def _domain(address: str) -> str:
    domain = (address.lower() or NULL_SENDER).rpartition("@")[2].replace("..", ".")
    return re.sub(r"\.?(.+?)\.?$", r"\1", domain, count=1)


def _table(shape: Shape, counts: Counts) -> Iterator[str]:
    heads = list(shape.heads())
    total = counts.rows["TOTAL"]
    widths = []
    for column, head in enumerate(heads):
        widest = max(len(head), len(str(total[column])))
        widths.append(widest + 1 if widest > 2 else 3)
    room = max(_NARROWEST, shape.width - sum(widths))
    yield _line("", heads, widths, room)
    ranked = sorted(counts.rows, key=lambda domain: (-counts.rows[domain][0], len(domain), domain))
    shown = [
        domain
        for domain in ranked
        if domain[0] != "." or counts.subdomains[domain] >= shape.fewest_subdomains
    ]
    for domain in shown[: shape.most_rows or None]:
        numbers = [str(counts.rows[domain][column]) for column in range(shape.buckets + 1)]
        yield _line(domain, numbers, widths, room)


def _line(domain: str, values: list[str], widths: list[int], room: int) -> str:
    if len(domain) > room:
        mark = ".+" if domain[0] == "." else "+"
        domain = mark + domain[len(domain) - room + len(mark) :]
    cells = zip(values, widths, strict=True)
    return domain.rjust(room) + "".join(value.rjust(width) for value, width in cells) + "\n"
