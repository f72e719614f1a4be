"""One mail about many messages: what a sender is told when there is too much for a report each.

It is no report of RFC 3464, which speaks of one message; words only. Nothing fails here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from attrs import frozen

from m365gw.smtp.replies import Reply
from m365gw.smtp.reports.facts import Explanation, Kind
from m365gw.smtp.reports.parts import plain, text_part, wrapped
from m365gw.smtp.reports.reports import opening
from m365gw.smtp.trace import date

MOST_LISTED = 200  # messages of one cause that are named; the rest is counted


@frozen
class Line:
    """One message in a summary, with the recipients it is about."""

    queue_id: str
    recipients: tuple[str, ...]
    reply: Reply
    explanation: Explanation


def compose_summary(
    kind: Kind,
    lines: Sequence[Line],
    *,
    hostname: str,
    sender: str,
    addressee: str,
    queue_id: str,
    at: datetime,
) -> bytes:
    """The summary as a whole message with CRLF lines; 7-bit unless an address of its header is not.

    `at` is aware.
    """
    state = "not delivered" if kind is Kind.FAILED else "delayed"
    header = opening(
        hostname=hostname,
        sender=sender,
        addressees=[addressee],
        subject=f"{len(lines)} more messages {state}",
        queue_id=queue_id,
        at=date(at),
    )
    return header + b"MIME-Version: 1.0\r\n" + text_part(_words(kind, hostname, lines))


def _words(kind: Kind, hostname: str, lines: Sequence[Line]) -> Iterator[str]:
    yield f"This is the mail gateway {hostname}."
    yield ""
    if kind is Kind.FAILED:
        yield f"{len(lines)} more of your messages could not be delivered, and will not be tried"
        yield "again for the recipients below."
    else:
        yield f"{len(lines)} more of your messages have not been delivered yet. You need not send"
        yield "them again: they are still being tried."
    yield "So many are told of together, not one by one."
    groups: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        known = line.explanation
        key = (known.what, known.why, known.fix, known.actor_for_sender, str(line.reply.code))
        groups.setdefault(key, []).append(line)
    for (what, why, fix, actor, _), group in groups.items():
        yield ""
        yield from wrapped("What happened: ", what)
        yield from wrapped("What it means: ", why)
        yield from wrapped("What to do:    ", fix)
        yield from wrapped("Who must act:  ", actor)
        yield from wrapped("An answer:     ", plain(str(group[0].reply)) or "none")
        yield f"Messages:      {len(group)}"
        for line in group[:MOST_LISTED]:
            named = ", ".join(f"<{plain(each)}>" for each in line.recipients[:3])
            more = f" and {len(line.recipients) - 3} more" if len(line.recipients) > 3 else ""
            yield from wrapped(f"  {line.queue_id} ", f"to {named}{more}")
        if len(group) > MOST_LISTED:
            yield f"  and {len(group) - MOST_LISTED} more"
