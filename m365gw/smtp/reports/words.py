"""The first part of a delivery report: what a person reads.

What happened, what it means, what to do and who must do it; recipients who share all that are
named together. Nothing fails here; strangers' text has passed `plain`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from m365gw.smtp.headers import header_of
from m365gw.smtp.reports.facts import Facts, Kind, Told
from m365gw.smtp.reports.parts import decoded, plain, wrapped
from m365gw.smtp.trace import date

MOST_NAMED = 50  # recipients named together; the second part names all

SUBJECTS: Final = {
    Kind.FAILED: "Undelivered mail returned to sender",
    Kind.DELAYED: "Delayed mail (still being tried)",
    Kind.RELAYED: "Your mail was passed on",
}


def words(facts: Facts) -> Iterator[str]:
    """The part line by line."""
    yield f"This is the mail gateway {facts.hostname}."
    yield ""
    yield from _opening(facts)
    yield ""
    title = decoded(header_of(facts.header).first("subject"))[:200]
    if title:
        yield from wrapped("Subject: ", title)
    yield f"Arrived: {date(facts.arrived_at)}"
    yield f"Queue id: {facts.about}"
    for group in _groups(facts.told):
        yield ""
        for one in group[:MOST_NAMED]:
            yield f"To: <{plain(one.recipient.address)}>"
        if len(group) > MOST_NAMED:
            yield f"and {len(group) - MOST_NAMED} more, named in the second part"
        yield from _explained(facts.kind, group[0])
    if facts.kind is Kind.FAILED:
        yield ""
        yield "If you cannot mend it yourself, give this whole message to your administrator."


def _opening(facts: Facts) -> Iterator[str]:
    if facts.kind is Kind.FAILED:
        yield "Your message could not be delivered to everybody it was meant for."
        yield "It will not be tried again for the recipients below."
    elif facts.kind is Kind.DELAYED:
        yield "Your message has not been delivered yet to everybody it was meant for."
        yield "You need not send it again: it is still being tried."
        if facts.retry_until is not None:
            yield f"It is tried until {date(facts.retry_until)} at least,"
            yield "and only then returned to you."
    else:
        if facts.was_delayed:
            yield "The delay you were told of is over."
        yield "Your message was passed on to the next server, for the recipients below."
        yield "That server reports no deliveries: whether it came into their mailboxes"
        yield "is not known here."


def _explained(kind: Kind, one: Told) -> Iterator[str]:
    if kind is not Kind.RELAYED:
        known = one.explanation
        yield from wrapped("  What happened: ", known.what)
        yield from wrapped("  What it means: ", known.why)
        yield from wrapped("  What to do:    ", known.fix)
        yield from wrapped("  Who must act:  ", known.actor_for_sender)
    if one.gave_up:
        yield from wrapped("  ", "It was tried until its time was over; it will not be again.")
    if one.is_doubtful:
        yield from wrapped(
            "  ",
            "It may have arrived all the same: an earlier attempt ended without an answer. "
            "Ask before you send it again.",
        )
    answer = plain(str(one.reply)) if one.reply.code else plain(one.reply.text) or "none"
    yield from wrapped("  The answer:    ", answer)


def _groups(told: Sequence[Told]) -> list[list[Told]]:
    """Recipients of whom the same is to be said."""
    groups: dict[tuple[object, ...], list[Told]] = {}
    for one in told:
        known = one.explanation
        said = (known.what, known.why, known.fix, known.actor_for_sender)
        alike = (*said, str(one.reply), one.gave_up, one.is_doubtful)
        groups.setdefault(alike, []).append(one)
    return list(groups.values())
