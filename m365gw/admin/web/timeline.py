"""What happened to a message, step by step, as far as it is known.

The events of the log that are kept in memory tell it all; after a restart the message itself tells
when it came, from where, and the last reply for each recipient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from m365gw.recent import Happened
from m365gw.smtp.verdict import Outcome
from m365gw.spool.browse import Queued
from m365gw.spool.reasons import said
from m365gw.words import counted, octets

# Titles of events, and their tones; what is not here is told in the words of the log.
_TITLES = {
    "message.queued": ("Accepted", "note"),
    "message.report": ("Report made", "note"),
    "message.active": ("Taken up for delivery", "idle"),
    "message.held": ("Held", "warn"),
    "message.corrupt": ("Found damaged", "bad"),
    "message.unreadable": ("Could not be read", "bad"),
    "message.removed": ("Ended", "good"),
    "delivery.postponed": ("Postponed", "warn"),
    "report.postponed": ("Report postponed", "warn"),
    "operation.failed": ("Not done", "bad"),
    "operation.missed": ("Came too late", "warn"),
}
_STATUS = {
    "sent": ("Delivered to Microsoft 365", "good"),
    "deferred": ("Not yet", "warn"),
    "held": ("Held", "warn"),
    "uncertain": ("Uncertain", "warn"),
    "bounced": ("Refused for good", "bad"),
}
_OUTCOMES = {
    Outcome.DELIVERED: "sent",
    Outcome.PENDING: "deferred",
    Outcome.UNCERTAIN: "uncertain",
    Outcome.FAILED: "bounced",
}


@frozen
class Step:
    """One thing that happened. `at` is in seconds since 1970; `said` is a reply as it came."""

    at: float
    title: str
    words: str = ""
    said: str = ""
    tone: str = "idle"


def timeline(queued: Queued | None, events: Sequence[Happened]) -> list[Step]:
    """The steps, the oldest first."""
    steps = [_step(each) for each in events]
    has_begin = any(each.event in ("message.queued", "message.report") for each in events)
    if queued is not None and not queued.damage and not has_begin:
        told = {each.fields.get("to") for each in events}
        steps = [_arrival(queued), *_last_replies(queued, told), *steps]
        steps.sort(key=lambda step: step.at)
    return steps


def _step(event: Happened) -> Step:
    fields = event.fields
    if event.event == "delivery":
        title, tone = _STATUS.get(str(fields.get("status")), ("Tried", "idle"))
        to, by, delay = (fields.get(name) for name in ("to", "relay", "delay"))
        words = f"to {to} by {by}, {delay} s after it came"
        return Step(event.at, title, words, event.note, tone)
    title, tone = _TITLES.get(event.event, ("", "idle"))
    words = _acceptance(event) if event.event == "message.queued" else event.note
    words = "" if event.event == "message.active" else words
    if not title:
        title, words = _sentence(event.note or event.event), ""
    return Step(event.at, title, words, tone=tone)


def _acceptance(event: Happened) -> str:
    fields = event.fields
    by = f", logged in as {fields['sasl_username']}" if fields.get("sasl_username") else ""
    recipients = counted(int(fields.get("nrcpt", 0)), "recipient")
    parts = [
        f"from {str(fields.get('client', 'this machine')).removeprefix('unknown')}{by}",
        f'calling itself "{fields["helo"]}"' if fields.get("helo") else "",
        f"{octets(int(fields.get('size', 0)))} for {recipients}",
        f"repaired: {fields['repaired']}" if fields.get("repaired") else "",
        event.note,
    ]
    return "; ".join(filter(None, parts))


def _arrival(queued: Queued) -> Step:
    origin, entry = queued.origin, queued.entry
    by = f", logged in as {origin.login}" if origin.login else ""
    place = origin.client or "this machine"
    name = f', calling itself "{origin.helo}"' if origin.helo else ""
    words = f"from {place}{by}{name}; {octets(entry.size)}"
    return Step(entry.arrived_at, "Accepted", words, tone="note")


def _last_replies(queued: Queued, told: set[object]) -> Iterator[Step]:
    for record in queued.recipients:
        if record.at and record.recipient.address not in told:
            title, tone = _STATUS[_OUTCOMES[record.outcome]]
            to = f"to {record.recipient.address}; this answer came first then"
            yield Step(record.at, title, to, said(record.reply), tone)


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
