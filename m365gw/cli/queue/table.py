"""The queue as a table for people: a line for each message, and one below it that says why.

Why a mailbox may not send is said once, behind all of them: it may be the same for thousands.
Addresses are never cut: a long one pushes what follows it on its own line, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from m365gw.cli.running import Running
from m365gw.cli.words import counted, escaped, short_span, size
from m365gw.spool.browse import Queued
from m365gw.spool.names import Entry, State
from m365gw.spool.reasons import reason_of

_ROW = "%-13s  %-8s  %6s  %4s  %5s  %8s  %-28s  %s"
_HEADS = ("ID", "STATE", "SIZE", "AGE", "TRIES", "NEXT TRY", "MAILBOX", "SENDER > RECIPIENTS")


def table(messages: Iterable[Queued], now: float, running: Running | None = None) -> Iterator[str]:
    """The lines of the table, each as soon as it is known; `now` in seconds since 1970."""
    running = running or Running()
    octets = count = 0
    waits: dict[str, None] = {}
    for queued in messages:
        if not count:
            yield _ROW % _HEADS
        why_waits = running.why_waits(queued)
        yield from _lines(queued, now, running, why_waits)
        waits[why_waits] = None
        octets += queued.entry.size
        count += 1
    yield f"{counted(count, 'message')}, {_amount(octets)}." if count else "No messages."
    yield from map(escaped, filter(None, waits))


def _amount(octets: int) -> str:
    return size(octets) if octets >= 1024 else counted(octets, "octet")


def _lines(queued: Queued, now: float, running: Running, why_waits: str) -> Iterator[str]:
    entry = queued.entry
    yield _ROW % (
        entry.queue_id,
        running.state_of(queued),
        size(entry.size),
        short_span(now - entry.arrived_at),
        entry.attempts,
        "-" if entry.queue_id in running.active else _next_try(entry, now, running, why_waits),
        escaped(queued.origin.mailbox) or "-",
        "-" if queued.damage else f"{escaped(queued.envelope.sender) or '<>'} > {_whom(queued)}",
    )
    reason = reason_of(queued)
    if reason:
        yield f"{'':13}  {escaped(reason)}"


def _next_try(entry: Entry, now: float, running: Running, why_waits: str) -> str:
    if entry.state not in (State.INCOMING, State.DEFERRED):
        return "-"
    if why_waits:
        return "waits"  # for its mailbox, and nobody knows how long
    if entry.due <= now:
        return "now" if running.is_known else "due"  # nobody may be there to try it
    return f"in {short_span(entry.due - now)}"


def _whom(queued: Queued) -> str:
    first, *others = queued.open_recipients or queued.recipients
    more = f" and {len(others)} more" if others else ""
    return escaped(first.recipient.address) + more
