"""The queue as Postfix prints it, octet for octet, for scripts: `postqueue -p` and `-j`.

Of Postfix's two layouts this is the one for long queue ids (`enable_long_queue_ids = yes`), whose
id column is 17 wide. Ours have 13 characters: with a mark they would burst the 11 of the short
layout and shift every column after it, and parsers tell ids of twelve and more characters from
short ones, which they expect to be hexadecimal and used again. Long ids promise what ours keep:
never used twice, and sorting by arrival.

The JSON has Postfix's members first, in its order, and then `next_attempt` (seconds since 1970; 0:
at once; null: held), `attempts`, `mailbox` and `client`: parsers have to ignore members they do not
know. `active` are the queue ids the running service delivers at the moment.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Iterator

from m365gw.smtp.verdict import Outcome
from m365gw.spool.browse import Queued
from m365gw.spool.names import State
from m365gw.spool.operations import BY_OPERATOR
from m365gw.spool.outcomes import RecipientRecord

NULL_SENDER = "MAILER-DAEMON"
UNCERTAIN = "delivery uncertain: no answer after the end of the message"

_ROW = "%-17s %8s %-19s %s\n"
_HEADS = ("----Queue ID-----", "--Size--", "---Arrival Time----", "--Sender/Recipient------")
_REASON_WIDTH = 76  # reasons end in this column
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def table(messages: Iterator[Queued], active: Collection[str] = ()) -> Iterator[str]:
    """`postqueue -p`, one text a message, each as soon as its message is known."""
    octets = count = 0
    for queued in messages:
        yield "\n" if count else _ROW % _HEADS
        yield "".join(_paragraph(queued, active))
        octets += queued.entry.size
        count += 1
    if count:
        yield f"\n-- {octets // 1024} Kbytes in {count} Request{'' if count == 1 else 's'}.\n"
    else:
        yield "Mail queue is empty\n"


def _paragraph(queued: Queued, active: Collection[str]) -> Iterator[str]:
    entry = queued.entry
    mark = "*" if entry.queue_id in active else "#" if entry.is_expired else ""
    if entry.state is State.HOLD:
        mark = "!"
    arrived = time.asctime(time.localtime(int(entry.arrived_at)))[:19]
    yield _ROW % (entry.queue_id + mark, entry.size, arrived, _sender(queued))
    shown = ""
    for record, reason in _waiting(queued):
        if reason != shown:
            # Postfix counts octets, which matters for reasons that are not in ASCII.
            text = reason or "reason unavailable"
            yield " " * (_REASON_WIDTH - len(text.encode())) + f"({text})\n"
            shown = reason
        yield _ROW % ("", "", "", _printable(record.recipient.address))


def json_lines(messages: Iterator[Queued], active: Collection[str] = ()) -> Iterator[str]:
    """`postqueue -j`, one line a message."""
    for queued in messages:
        entry = queued.entry
        forced = "true" if entry.is_expired else "false"
        next_attempt = "null" if entry.state is State.HOLD else str(entry.due)
        queue = "active" if entry.queue_id in active else entry.state.value
        yield (
            f'{{"queue_name": "{queue}", "queue_id": "{entry.queue_id}", '
            f'"arrival_time": {int(entry.arrived_at)}, "message_size": {entry.size}, '
            f'"forced_expire": {forced}, "sender": {_quoted(_sender(queued))}, '
            f'"recipients": [{", ".join(_recipient(*pair) for pair in _waiting(queued))}], '
            f'"next_attempt": {next_attempt}, "attempts": {entry.attempts}, '
            f'"mailbox": {_quoted(queued.origin.mailbox)}, '
            f'"client": {_quoted(queued.origin.client)}}}\n'
        )


def _recipient(record: RecipientRecord, reason: str) -> str:
    delay = f', "delay_reason": {_quoted(reason)}' if reason else ""
    return f'{{"address": {_quoted(_printable(record.recipient.address))}{delay}}}'


def _waiting(queued: Queued) -> list[tuple[RecipientRecord, str]]:
    """Recipients still to be served and why they wait; as Postfix, those with a reason first."""
    pairs = [(record, _reason(record, queued)) for record in queued.open_recipients]
    return sorted(pairs, key=lambda pair: not pair[1])


def _reason(record: RecipientRecord, queued: Queued) -> str:
    """Why a recipient waits, as one printable line; "" when it was not tried yet."""
    if queued.entry.state is State.HOLD and queued.reason not in ("", BY_OPERATOR):
        return _printable(queued.reason)
    if record.outcome is Outcome.UNCERTAIN:
        return UNCERTAIN
    if not record.at:
        return ""
    reply = record.reply
    return _printable(str(reply) if reply.code else reply.text)


def _sender(queued: Queued) -> str:
    return _printable(queued.envelope.sender) or NULL_SENDER


def _printable(text: str) -> str:
    """Text from outside with each control character as a question mark, as Postfix does it."""
    return _CONTROL.sub("?", text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
