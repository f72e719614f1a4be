"""A queued message as JSON. The keys are stable: new ones may come, none changes or goes.

Times are seconds since 1970, sizes octets. A text that is not known is "", a value null.
"""

from __future__ import annotations

from typing import Any

from m365gw.cli.running import Running
from m365gw.smtp.verdict import Outcome
from m365gw.spool.browse import Queued
from m365gw.spool.names import State
from m365gw.spool.outcomes import RecipientRecord
from m365gw.spool.reasons import diagnosis_of, reason_of

KEYS = """\b
Keys of --json:
queue_id      13 characters, never used twice
state         incoming, deferred, hold or corrupt; active while it is being delivered
size          octets of the message
arrived_at    when it was accepted
attempts      attempts made so far
next_attempt  when it is tried next; 0: at once; null: never by itself
mailbox       Microsoft 365 mailbox it leaves by
sender        envelope sender, "" for the null sender
recipients    list: address, notify, orcpt,
              outcome (pending, uncertain, delivered or failed),
              reply (code, status, text) or null, since (when this reply came first) or null,
              meaning (key, what, why, fix, who) or null
reason        why it is still here, in words
mailbox_waits why its mailbox may not send it now, "" also when the service cannot be asked
damage        why it cannot be read, or ""
is_expired    whether it is returned to its sender at its next turn
envelope      eight_bit, smtputf8, ret, envid
origin        client, port, helo, protocol, tls, login, listener
header        only of show: list of [name, value], decoded
"""

_OUTCOMES = {
    Outcome.PENDING: "pending",
    Outcome.UNCERTAIN: "uncertain",
    Outcome.DELIVERED: "delivered",
    Outcome.FAILED: "failed",
}


def message_object(queued: Queued, running: Running | None = None) -> dict[str, Any]:
    """The object for one message, its keys as `KEYS` explains them."""
    running = running or Running()
    entry, envelope, origin = queued.entry, queued.envelope, queued.origin
    is_tried = entry.state in (State.INCOMING, State.DEFERRED)
    return {
        "queue_id": entry.queue_id,
        "state": running.state_of(queued),
        "size": entry.size,
        "arrived_at": entry.arrived_at,
        "attempts": entry.attempts,
        "next_attempt": entry.due if is_tried else None,
        "mailbox": origin.mailbox,
        "sender": envelope.sender,
        "recipients": [_recipient(record, queued) for record in queued.recipients],
        "reason": reason_of(queued),
        "mailbox_waits": running.why_waits(queued),
        "damage": queued.damage,
        "is_expired": entry.is_expired,
        "envelope": {
            "eight_bit": envelope.eight_bit,
            "smtputf8": envelope.smtputf8,
            "ret": envelope.ret,
            "envid": envelope.envid,
        },
        "origin": {
            "client": origin.client,
            "port": origin.port,
            "helo": origin.helo,
            "protocol": origin.protocol,
            "tls": origin.tls,
            "login": origin.login,
            "listener": origin.listener,
        },
    }


def _recipient(record: RecipientRecord, queued: Queued) -> dict[str, Any]:
    reply, diagnosis = record.reply, diagnosis_of(record, queued)
    return {
        "address": record.recipient.address,
        "notify": sorted(record.recipient.notify),
        "orcpt": record.recipient.orcpt,
        "outcome": _OUTCOMES[record.outcome],
        "reply": {"code": reply.code, "status": reply.status, "text": reply.text}
        if record.at
        else None,
        "since": record.at or None,
        "meaning": {
            "key": diagnosis.key,
            "what": diagnosis.what,
            "why": diagnosis.why,
            "fix": diagnosis.fix,
            "who": diagnosis.who,
        }
        if diagnosis is not None
        else None,
    }
