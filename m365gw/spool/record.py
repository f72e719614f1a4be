"""The format of a message file: a block of ours, then the message exactly as it will be sent.

The file as a whole is a valid message (RFC 5322). The block is its first header fields:

    X-M365GW-Spool: 2 LENGTH RECIPIENTS SIZE MESSAGE-CRC QUEUE-ID CRC
    X-M365GW-Envelope: {"sender": ..., ...}
    X-M365GW-Origin: {"client": ..., ...}
    X-M365GW-Recipient: {"address": ..., ...}              one for each recipient
    X-M365GW-Outcome: T 1767225600 451 4.3.2 try later     one for each recipient, fixed width
    X-M365GW-Reason: why the message is held               fixed width
    X-M365GW-Warning: W 4Q7BX2K9M3PDW                      fixed width (`warning`)

The block is found by its length, never by the names of fields, so fields of these names inside a
message mean nothing. Values are JSON in ASCII: nothing from outside can end a line. What never
changes comes first and is guarded by CRC; what changes is of fixed width and overwritten in
place. A reply is kept for people and to be recognised again: cut to 180 octets, in ASCII.

Failures: `Corrupt` for anything that is not such a block.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from zlib import crc32

from attrs import frozen

from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome
from m365gw.spool.health import Corrupt
from m365gw.spool.names import parse_id, render_id
from m365gw.spool.warning import NO_WARNING

TEXT_WIDTH = 180  # octets kept of a reply, and of a reason
NO_REPLY = Reply(0, "", "")  # of a recipient that was not tried yet
LONGEST_LINE = 900  # RFC 5322 2.1.1 allows 998

_FIRST = re.compile(
    rb"X-M365GW-Spool: 2 ([0-9]{8}) ([0-9]{6}) ([0-9]{12}) ([0-9a-f]{8}) ([0-9A-Z]{13})"
    rb" ([0-9a-f]{8})\r\n"
)
FIRST_LENGTH = len("X-M365GW-Spool: 2 ") + 8 + 1 + 6 + 1 + 12 + 1 + 8 + 1 + 13 + 1 + 8 + 2
_OUTCOME = b"X-M365GW-Outcome: "
LETTER_OFFSET = len(_OUTCOME)  # of the letter in an outcome line
_OUTCOME_LENGTH = len(_OUTCOME) + 1 + 1 + 10 + 1 + TEXT_WIDTH + 2
_REASON = b"X-M365GW-Reason: "
_REASON_LENGTH = len(_REASON) + TEXT_WIDTH + 2
_REPLY = re.compile(r"([0-9]{3}) ([0-9]\.[0-9]{1,3}\.[0-9]{1,3}|-)(?: (.*))?")

_encode = json.JSONEncoder(separators=(", ", ": ")).encode
_encode_folded = json.JSONEncoder(separators=(",\r\n ", ": ")).encode


@frozen
class RecipientRecord:
    """One recipient and how it stands: outcome, last reply, and since when it is that reply.

    `reply` is NO_REPLY and `at` 0 before the first attempt; `at` is in seconds since
    1970.
    """

    recipient: Recipient
    outcome: Outcome
    reply: Reply
    at: float


@frozen
class Block:
    """What the unchanging part of a block says, and where the changing part begins."""

    length: int  # of the whole block, in octets; the message begins here
    size: int  # of the message, in octets
    message_crc: int
    id: int
    envelope: Envelope
    origin: Origin

    @property
    def changing(self) -> int:
        """Offset of the first outcome line."""
        return self.length - changing_length(len(self.envelope.recipients))


def changing_length(recipients: int) -> int:
    """Octets of the part of a block that is overwritten in place."""
    return recipients * _OUTCOME_LENGTH + _REASON_LENGTH + len(NO_WARNING)


class Composer:
    """The block of one message. Its length is known before the message is."""

    def __init__(self, envelope: Envelope, origin: Origin) -> None:
        self._fields = b"".join(_fields(envelope, origin))
        self._recipients = len(envelope.recipients)
        self.length = FIRST_LENGTH + len(self._fields) + changing_length(self._recipients)

    def compose(self, number: int, size: int, message_crc: int) -> bytes:
        """The whole block, for a message of this size (in octets) and CRC."""
        first = b"X-M365GW-Spool: 2 %08d %06d %012d %08x %s " % (
            self.length,
            self._recipients,
            size,
            message_crc,
            render_id(number).encode(),
        )
        crc = b"%08x\r\n" % crc32(self._fields, crc32(first))
        return b"".join((first, crc, self._fields, _FRESH * self._recipients, _UNTOLD))


def _fields(envelope: Envelope, origin: Origin) -> Iterator[bytes]:
    yield _envelope_field(
        envelope.sender, envelope.eight_bit, envelope.smtputf8, envelope.ret, envelope.envid
    )
    yield _origin_field(origin)
    yield from map(_recipient_field, envelope.recipients)


# The same senders, recipients and clients come again and again: their fields are remembered.


@lru_cache(maxsize=1024)
def _envelope_field(sender: str, eight_bit: bool, smtputf8: bool, ret: str, envid: str) -> bytes:
    return _field(
        "Envelope",
        {
            "sender": sender,
            "eight_bit": eight_bit,
            "smtputf8": smtputf8,
            "ret": ret,
            "envid": envid,
        },
    )


@lru_cache(maxsize=1024)
def _origin_field(origin: Origin) -> bytes:
    return _field(
        "Origin",
        {
            "client": origin.client,
            "port": origin.port,
            "helo": origin.helo,
            "protocol": origin.protocol,
            "tls": origin.tls,
            "login": origin.login,
            "listener": origin.listener,
            "mailbox": origin.mailbox,
        },
    )


@lru_cache(maxsize=4096)
def _recipient_field(recipient: Recipient) -> bytes:
    value: dict[str, object] = {"address": recipient.address}
    if recipient.notify:
        value["notify"] = sorted(recipient.notify)
    if recipient.orcpt:
        value["orcpt"] = recipient.orcpt
    return _field("Recipient", value)


def _field(name: str, value: Mapping[str, object]) -> bytes:
    text = _encode(value)
    if len(text) > LONGEST_LINE:
        text = _encode_folded(value)
    return f"X-M365GW-{name}: {text}\r\n".encode("ascii")


def block_length(data: bytes) -> int:
    """The length a block claims, from its first line; whether it is true, `parse` tells."""
    found = _FIRST.match(data)
    if found is None:
        raise Corrupt("the file does not begin with an envelope")
    return int(found[1])


def parse(block: bytes) -> Block:
    """The unchanging part of a whole block. Raises Corrupt unless each octet is as written."""
    found = _FIRST.match(block)
    if found is None or len(block) != int(found[1]):
        raise Corrupt("the file does not begin with an envelope")
    recipients = int(found[2])
    fields = block[FIRST_LENGTH : len(block) - changing_length(recipients)]
    if crc32(fields, crc32(block[: found.start(6)])) != int(found[6], 16):
        raise Corrupt("the envelope is damaged: its checksum does not fit")
    try:
        # JSON has no bare line ends, and a folded line goes on with a space.
        values = [json.loads(line.split(b": ", 1)[1]) for line in fields[:-2].split(b"\r\nX")]
        envelope = _envelope(values[0], values[2:])
        if len(envelope.recipients) != recipients:
            raise Corrupt("the envelope does not have the recipients it should have")
        number = parse_id(found[5].decode())
        return Block(
            len(block), int(found[3]), int(found[4], 16), number, envelope, Origin(**values[1])
        )
    except (ValueError, LookupError, TypeError) as error:
        raise Corrupt(f"the envelope cannot be understood: {error}") from error


def _envelope(value: dict[str, Any], recipients: list[dict[str, Any]]) -> Envelope:
    return Envelope(
        recipients=tuple(
            Recipient(one["address"], frozenset(one.get("notify", ())), one.get("orcpt", ""))
            for one in recipients
        ),
        **value,
    )


def outcome_span(recipient: int) -> slice:
    """Where the line of a recipient is in the changing part."""
    return slice(recipient * _OUTCOME_LENGTH, (recipient + 1) * _OUTCOME_LENGTH)


def reason_span(recipients: int) -> slice:
    """Where the reason is in the changing part."""
    start = recipients * _OUTCOME_LENGTH
    return slice(start, start + _REASON_LENGTH)


def render_outcome(outcome: Outcome, reply: Reply, at: float) -> bytes:
    """The outcome line of one recipient; always of the same length."""
    return b"%s%s %010d %s\r\n" % (_OUTCOME, outcome.value.encode(), int(at), _fit(_text(reply)))


def parse_outcome(line: bytes) -> tuple[Outcome, Reply, float]:
    """Outcome, last reply and its time. Only the letter must be whole; the rest is advice.

    A power loss may leave new and old octets side by side in the text, never in one letter.
    """
    start = len(_OUTCOME)
    try:
        outcome = Outcome(line[start : start + 1].decode("ascii"))
    except ValueError as error:
        raise Corrupt("the outcome of a recipient cannot be read") from error
    at = line[start + 2 : start + 12]
    found = _REPLY.match(line[start + 13 :].decode("ascii", "replace").rstrip())
    if found is None or not at.isdigit():
        return outcome, NO_REPLY, 0.0
    status = "" if found[2] == "-" else found[2]
    return outcome, Reply(int(found[1]), status, found[3] or ""), float(at)


def is_same_reply(one: Reply, other: Reply) -> bool:
    """Whether two replies say the same, as kept here.

    What stands in brackets names a server and a time and differs from answer to answer.
    """
    return (one.code, one.status, _gist(one)) == (other.code, other.status, _gist(other))


def _gist(reply: Reply) -> bytes:
    return _fit(_text(reply)).partition(b"[")[0].rstrip()


def _text(reply: Reply) -> str:
    if not (reply.code or reply.status or reply.text.strip()):
        return ""
    return f"{reply.code:03d} {reply.status or '-'} {reply.text}"


def render_reason(text: str) -> bytes:
    """The reason line; always of the same length."""
    return b"%s%s\r\n" % (_REASON, _fit(text))


def parse_reason(line: bytes) -> str:
    """The reason, "" for none."""
    return line[len(_REASON) :].decode("ascii", "replace").strip()


def warning_span(recipients: int) -> slice:
    """Where the warning is in the changing part."""
    start = recipients * _OUTCOME_LENGTH + _REASON_LENGTH
    return slice(start, start + len(NO_WARNING))


def _fit(text: str) -> bytes:
    """Text as exactly TEXT_WIDTH printable octets."""
    kept = " ".join(text.split()).encode("ascii", "replace")[:TEXT_WIDTH]
    return re.sub(rb"[^ -~]", b"?", kept).ljust(TEXT_WIDTH)


_FRESH = render_outcome(Outcome.PENDING, NO_REPLY, 0.0)
_NO_REASON = render_reason("")
_UNTOLD = _NO_REASON + NO_WARNING
