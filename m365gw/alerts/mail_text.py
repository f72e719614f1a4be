"""The mail that tells of incidents: plain words, one part, one for everything that came together.

Nothing fails here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from m365gw.alerts.event import Event
from m365gw.smtp.reports.parts import plain, text_part, wrapped
from m365gw.smtp.reports.reports import opening
from m365gw.smtp.trace import date

MOST_TOLD = 50  # incidents told in one mail; of the rest only the headline
LONGEST_SUBJECT = 180  # characters


def compose(
    events: Sequence[Event],
    *,
    hostname: str,
    sender: str,
    addressees: Sequence[str],
    queue_id: str,
    at: datetime,
) -> bytes:
    """The whole message with CRLF lines; 7-bit unless an address is not. `at` is aware."""
    header = opening(
        hostname=hostname,
        sender=sender,
        addressees=addressees,
        subject=subject(events, hostname),
        queue_id=queue_id,
        at=date(at),
    )
    return header + b"MIME-Version: 1.0\r\n" + text_part(_words(events, hostname))


def subject(events: Sequence[Event], hostname: str) -> str:
    """A subject line in ASCII: what happened, or how many things did."""
    if len(events) > 1:
        return f"[m365gw {hostname}] news of {len(events)} incidents"
    headline = plain(events[0].headline)[:LONGEST_SUBJECT]
    if not headline.isascii():
        headline = f"{events[0].kind.value}: {events[0].incident.told.key}"
    return f"[m365gw {hostname}] {headline}"


def _words(events: Sequence[Event], hostname: str) -> Iterator[str]:
    yield f"This is the mail gateway {hostname}."
    for event in events[:MOST_TOLD]:
        yield ""
        yield from wrapped("", plain(event.headline))
        for label, text in event.paragraphs():
            yield from wrapped(f"  {label + ':':<15}", plain(text))
    for event in events[MOST_TOLD:]:
        yield ""
        yield from wrapped("", plain(event.headline))
    yield ""
    yield "All that is open: m365gw incident list"
