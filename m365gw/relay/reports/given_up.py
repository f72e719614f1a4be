"""What the sender of a message is told that an operator has given up (`m365gw queue bounce`).

The report says who ended it and, for each recipient, how far it had come: never tried, refused
for the time being with this answer, or perhaps delivered. A message that was held because its
failures could be told to nobody is given up too once it is released: then they are told, if they
can be by now.
"""

from __future__ import annotations

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.reactions import Reaction, bounce
from m365gw.microsoft.replies import Phase
from m365gw.relay.delivery.finding import Attempt, Finding
from m365gw.relay.delivery.judgement import Failure
from m365gw.relay.delivery.recovery import still_owed
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome
from m365gw.spool.message import Message
from m365gw.spool.outcomes import RecipientRecord

_WHAT = "The operator of this mail gateway has returned the message; it is not sent any more."
_FIX = "Ask the operator why. If it is still wanted, send it again."
_NEVER_TRIED = Diagnosis(
    "returned", _WHAT, "It had not been sent to this recipient yet.", _FIX, "sender"
)
_PUT_OFF = Diagnosis(
    "returned",
    _WHAT,
    "It could not be sent to this recipient so far; the last answer stands below.",
    _FIX,
    "sender",
)
_UNCERTAIN = Diagnosis(
    "returned-uncertain",
    _WHAT,
    "It may have been delivered to this recipient all the same: the connection broke before the"
    " answer came.",
    "Ask the recipient before it is sent again.",
    "sender",
)

_REFUSED = Diagnosis(
    "returned-late",
    "The message was refused for this recipient some time ago, and could not be returned then.",
    "The answer to it stands below.",
    "If it is still wanted, mend what the answer says, and send it again.",
    "sender",
)


def is_given_up(message: Message) -> bool:
    """Whether all that is left to do for a message is to tell its sender."""
    if message.entry.is_expired:
        return True
    outcomes = {record.outcome for record in message.recipients}
    is_over = outcomes.isdisjoint((Outcome.PENDING, Outcome.UNCERTAIN))
    return is_over and bool(still_owed(message, Outcome.FAILED))


def given_up(message: Message) -> list[Failure]:
    """A failure for each recipient whose fate is not settled, or not told."""
    waiting = [
        _failure(place, record, record.reply)
        for place, record in enumerate(message.recipients)
        if record.outcome in (Outcome.PENDING, Outcome.UNCERTAIN)
    ]
    return waiting or [
        _failure(one.recipient, message.recipients[one.recipient], one.reply)
        for one in still_owed(message, Outcome.FAILED)
    ]


def _failure(place: int, record: RecipientRecord, said: Reply) -> Failure:
    reply = said if record.at else Reply(0, "", "returned by an operator")
    finding = Finding(place, Outcome.FAILED, reply, Phase.CONNECT, _reaction(record))
    return Failure(finding, Attempt((finding,)))


def _reaction(record: RecipientRecord) -> Reaction:
    if record.outcome is Outcome.UNCERTAIN:
        return bounce(_UNCERTAIN)
    if record.outcome is Outcome.FAILED:
        return bounce(_REFUSED)
    return bounce(_PUT_OFF if record.at else _NEVER_TRIED)
