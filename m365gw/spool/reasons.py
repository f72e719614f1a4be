"""Why a queued message is still here, in words.

The spool keeps the last reply of each recipient; what it means stands in the tables of room
`microsoft`. Those are loaded only when there is a reply to explain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome
from m365gw.spool.browse import Queued
from m365gw.spool.names import State
from m365gw.spool.outcomes import RecipientRecord

if TYPE_CHECKING:
    from m365gw.microsoft.diagnosis import Diagnosis


def reason_of(queued: Queued) -> str:
    """One line on the message as a whole, not yet escaped; "" when there is nothing to say."""
    if queued.damage:
        return f"cannot be read: {queued.damage}"
    if queued.entry.state is State.CORRUPT:
        return (
            "damaged: the message is not what was accepted. Look at its file (m365gw queue show"
            " says where it is); m365gw queue adopt --as-it-is sends it as it is now"
        )
    if queued.entry.state is State.HOLD:
        return f"held: {queued.reason or 'no reason was noted'}"
    if queued.entry.is_expired:
        return "given up by an operator: it is returned to its sender at its next turn"
    uncertain = [one for one in queued.recipients if one.outcome is Outcome.UNCERTAIN]
    if uncertain:
        who = uncertain[0].recipient.address if len(uncertain) == 1 else f"{len(uncertain)} of them"
        return f"uncertain: {who} may have it already; no answer to the end of it has come"
    for record in queued.open_recipients:
        diagnosis = diagnosis_of(record, queued)
        if diagnosis is not None:
            words = said(record.reply)
            return words if diagnosis.what in words else f"{diagnosis.what} ({words})"
    return ""


def standing(record: RecipientRecord) -> str:
    """How one recipient stands."""
    match record.outcome:
        case Outcome.DELIVERED:
            return "delivered: Microsoft took the message for this recipient"
        case Outcome.FAILED:
            return "failed: refused for good, not tried again"
        case Outcome.UNCERTAIN:
            return "uncertain: it may have been delivered; no answer has come"
        case Outcome.PENDING:
            return "waiting: to be tried again" if record.at else "waiting: not tried yet"


def diagnosis_of(record: RecipientRecord, queued: Queued) -> Diagnosis | None:
    """What the last reply to a recipient means; None when there is none, or nothing to explain."""
    if not record.at or record.outcome is Outcome.DELIVERED:
        return None
    from m365gw.microsoft.replies import diagnose

    diagnosis = diagnose(record.reply, was_sent=record.outcome is Outcome.UNCERTAIN)
    mailbox, sender = queued.origin.mailbox, queued.envelope.sender or "<>"
    return diagnosis.about(mailbox=mailbox, sender=sender, tenant=mailbox.rpartition("@")[2])


def said(reply: Reply) -> str:
    """A reply on one line; without a code it is what happened instead of a reply."""
    return str(reply) if reply.code else reply.text
