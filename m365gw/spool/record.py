"""The format of a message file: a block of ours, then the message exactly as it will be sent.

The file as a whole is a valid message (RFC 5322). The block is its first header fields:

    X-M365GW-Spool: 2 LENGTH RECIPIENTS SIZE MESSAGE-CRC QUEUE-ID CRC
    X-M365GW-Envelope: {"sender": ..., ...}
    X-M365GW-Origin: {"client": ..., ...}
    X-M365GW-Recipient: {"address": ..., ...}              one for each recipient
    X-M365GW-Outcome: T 1767225600 451 4.3.2 try later     one for each recipient
    X-M365GW-Reason: why the message is held
    X-M365GW-Warning: W 4Q7BX2K9M3PDW

The block is found by its length, never by the names of fields, so fields of these names inside a
message mean nothing. Values are JSON in ASCII: nothing from outside can end a line. What never
changes comes first and is guarded by CRC; the last three lines change in place (`outcomes`).

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
from m365gw.spool.health import Corrupt
from m365gw.spool.names import parse_id, render_id
from m365gw.spool.outcomes import changing_length, fresh

LONGEST_LINE = 900  # RFC 5322 2.1.1 allows 998

_FIRST = re.compile(
    rb"X-M365GW-Spool: 2 ([0-9]{8}) ([0-9]{6}) ([0-9]{12}) ([0-9a-f]{8}) ([0-9A-Z]{13})"
    rb" ([0-9a-f]{8})\r\n"
)
FIRST_LENGTH = len("X-M365GW-Spool: 2 ") + 8 + 1 + 6 + 1 + 12 + 1 + 8 + 1 + 13 + 1 + 8 + 2

_encode = json.JSONEncoder(separators=(", ", ": ")).encode
_encode_folded = json.JSONEncoder(separators=(",\r\n ", ": ")).encode


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
        return b"".join((first, crc, self._fields, fresh(self._recipients)))


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
