"""Everything known of one queued message, in words, on one page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from m365gw.cli.running import Running
from m365gw.cli.words import counted, escaped, moment, span
from m365gw.spool.browse import Queued
from m365gw.spool.names import Entry, State
from m365gw.spool.outcomes import RecipientRecord
from m365gw.spool.reasons import diagnosis_of, reason_of, said, standing

_STATES = {
    State.INCOMING: "accepted, not tried yet",
    State.DEFERRED: "waiting for its next attempt",
    State.HOLD: "held: not tried until it is released",
    State.CORRUPT: "damaged, kept for you: not tried, never deleted by the gateway",
}


def page(
    queued: Queued,
    header: Iterable[tuple[str, str]],
    now: float,
    running: Running | None = None,
    file: str = "",
) -> Iterator[str]:
    """The lines of the page. `header` is decoded, not escaped; `now` in seconds since 1970.

    `file` is where the message is, "" when that is not known.
    """
    entry, running = queued.entry, running or Running()
    is_active = entry.queue_id in running.active
    yield f"Message {entry.queue_id}"
    yield _field("State", "being delivered now" if is_active else _STATES[entry.state])
    reason, waits = reason_of(queued), running.why_waits(queued)
    if reason:
        yield _field("Reason", reason)
    if waits and not waits.startswith(reason.partition(" (")[0] or " "):  # that says it already
        yield _field("Mailbox", waits)
    yield _field("Arrived", f"{moment(entry.arrived_at)}, {span(now - entry.arrived_at)} ago")
    yield _field("Size", counted(entry.size, "octet"))
    yield _field("Attempts", str(entry.attempts))
    if not is_active:
        yield _field("Next attempt", _next_attempt(entry, now, waits))
    if file:
        yield _field("File", file)
    if queued.damage:
        return
    yield from _origin(queued)
    yield from _envelope(queued)
    for record in queued.recipients:
        yield from _recipient(record, queued, now)
    yield ""
    yield "Header of the message"
    for name, value in header:
        yield f"  {escaped(name)}: {escaped(value)}"


def _origin(queued: Queued) -> Iterator[str]:
    origin = queued.origin
    yield ""
    yield "Where it came from"
    if origin.listener == "maildrop":
        yield _field("Client", f"a program of the local user {origin.login}, by sendmail")
    elif not origin.client:
        yield _field("Client", "none: it was made by the gateway itself")
    else:
        name = f', calling itself "{origin.helo}"' if origin.helo else ""
        yield _field("Client", f"{origin.client} port {origin.port}{name}")
    yield _field("Login", origin.login or "none")
    yield _field("Listener", origin.listener or "none")
    yield _field("Protocol", origin.protocol)
    yield _field("TLS", origin.tls or "none")


def _envelope(queued: Queued) -> Iterator[str]:
    envelope = queued.envelope
    wishes = (
        ("8-bit content", envelope.eight_bit),
        ("UTF-8 addresses", envelope.smtputf8),
        (f"RET={envelope.ret}", envelope.ret),
        (f"ENVID={envelope.envid}", envelope.envid),
    )
    yield ""
    yield "Envelope"
    yield _field("Sender", envelope.sender or "<> (the null sender: a report)")
    yield _field("Leaves by", queued.origin.mailbox or "no mailbox")
    asked = ", ".join(text for text, is_asked in wishes if is_asked)
    if asked:
        yield _field("Asked for", asked)


def _recipient(record: RecipientRecord, queued: Queued, now: float) -> Iterator[str]:
    recipient = record.recipient
    yield ""
    yield f"To {escaped(recipient.address)}"
    yield _field("Outcome", standing(record))
    if recipient.notify:
        yield _field("Wants word of", ", ".join(sorted(recipient.notify)).lower())
    if recipient.orcpt:
        yield _field("First sent to", recipient.orcpt)
    if not record.at:
        return
    yield _field("Last reply", said(record.reply))
    yield _field("Since", f"{moment(record.at)}, {span(now - record.at)} ago")
    diagnosis = diagnosis_of(record, queued)
    if diagnosis is not None:
        yield _field("Meaning", f"{diagnosis.what} {diagnosis.why}")
        yield _field("What to do", diagnosis.fix)
        yield _field("Who must act", diagnosis.actor)


def _next_attempt(entry: Entry, now: float, why_waits: str) -> str:
    if entry.state not in (State.INCOMING, State.DEFERRED):
        return "none"
    if why_waits:
        return "as soon as its mailbox may send"
    if entry.due <= now:
        return "now, or as soon as its mailbox may send"
    return f"{moment(entry.due)}, in {span(entry.due - now)}"


def _field(name: str, value: str) -> str:
    return f"  {name + ':':<15}{escaped(value)}"
