"""The log line of one recipient after one attempt, in the shape every Postfix tool reads.

    to=<a@example.com>, relay=host[ip]:port, delay=1.2, delays=0.9/0/0.2/0.1, dsn=2.0.0,
    status=sent (250 2.0.0 OK)

The four delays are, in seconds: from arrival until the message was taken from the queue, from
there until a session was asked for, until there was one, and the transaction. The mailbox stands
in front, where no tool minds it. What is not sent says in words what the answer means.
"""

from __future__ import annotations

from m365gw.events import EventLog
from m365gw.microsoft.reactions import Action, Reaction, Scope
from m365gw.relay.delivery.finding import Attempt, Finding
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome
from m365gw.spool.message import Message

_CLASSES = {"sent": "2", "deferred": "4", "held": "4", "uncertain": "4", "bounced": "5"}


def log_finding(
    log: EventLog,
    message: Message,
    finding: Finding,
    attempt: Attempt,
    times: tuple[float, float],
    *,
    more: str = "",
) -> None:
    """One line. `times`: when the message was taken from the queue, and now; `more`: more words."""
    taken, now = times
    status = status_of(finding)
    meaning = "" if status == "sent" else _meaning(finding.reaction)
    waited = max(0.0, now - taken - attempt.connecting - attempt.sending)
    arrived = message.entry.arrived_at
    log_line(
        log,
        message,
        finding.recipient,
        status,
        finding.reply,
        "; ".join(words for words in (meaning, more) if words),
        relay=attempt.relay,
        delay=seconds(now - arrived),
        delays="/".join(
            seconds(part) for part in (taken - arrived, waited, attempt.connecting, attempt.sending)
        ),
    )


def log_line(
    log: EventLog,
    message: Message,
    recipient: int,
    status: str,
    reply: Reply,
    meaning: str,
    *,
    relay: str = "none",
    delay: str = "0",
    delays: str = "0/0/0/0",
) -> None:
    """One line about a recipient, named by its place in the envelope."""
    log.emit(
        "delivery",
        "smtp",
        message.entry.queue_id,
        mailbox=message.origin.mailbox,
        to_=message.envelope.recipients[recipient].address,
        relay=relay,
        delay=delay,
        delays=delays,
        dsn=dsn_of(status, reply),
        status=status,
        note="; ".join(words for words in (_said(reply), meaning) if words),
    )


def _meaning(reaction: Reaction) -> str:
    """In short, where mail goes on by itself or an incident tells the rest."""
    is_aside = reaction.action is Action.HOLD and reaction.scope is Scope.MESSAGE
    return str(reaction.diagnosis) if is_aside else reaction.diagnosis.what


def status_of(finding: Finding) -> str:
    """sent, bounced, uncertain, held or deferred."""
    if finding.outcome is Outcome.PENDING:
        return "held" if finding.reaction.action is Action.HOLD else "deferred"
    return {
        Outcome.DELIVERED: "sent",
        Outcome.FAILED: "bounced",
        Outcome.UNCERTAIN: "uncertain",
    }[finding.outcome]


def dsn_of(status: str, reply: Reply) -> str:
    """The enhanced status, of the class of what became of the recipient (RFC 3463)."""
    kind = _CLASSES[status]
    known = reply.status or ("0.4.2" if reply.code == 0 else "0.0.0")
    return kind + known[1:]


def seconds(span: float) -> str:
    """A duration as Postfix writes it: two figures, no more than hundredths."""
    span = max(0.0, span)
    return f"{span:.0f}" if span >= 10 else f"{round(float(f'{span:.2g}'), 2):g}"


def _said(reply: Reply) -> str:
    return str(reply) if reply.code else reply.text.replace("\n", " ")
