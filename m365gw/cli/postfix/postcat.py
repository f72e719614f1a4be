"""`postcat`: what is in a queued message, in Postfix's notation.

Only with `-q`: a file by name would have to be a queue file of Postfix's. The envelope is told in
Postfix's records, as far as there is something to tell; the message is shown with the line ends of
this system. On a terminal control characters are question marks: a message from outside does not
move the cursor. Exit code 1 for what is not there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Final

from attrs import define

from m365gw.cli.postfix.call import CONTROL, Call, Fatal
from m365gw.cli.postfix.queues import STATES
from m365gw.smtp.verdict import Outcome
from m365gw.spool.health import Corrupt, Gone, SpoolError
from m365gw.spool.message import Message
from m365gw.spool.outcomes import RecipientRecord
from m365gw.spool.spool import Spool

_USAGE = Fatal(
    "usage: postcat [-b (body text)] [-c config_dir] [-d (decimal record type)] "
    "[-e (envelope records)] [-h (header text)] [-q (access queue)] [-v] [file(s)...]"
)
_ID = re.compile(r"[A-Za-z0-9_]+")
_HEADER_LINE = re.compile(rb"[!-9;-~]+[ \t]*:|[ \t]")
_ESCAPED = re.compile(r"\\(.)")
_PIECE = 65536  # octets of a message read at a time

# Postfix's record types: the name it prints, and the letter -d gives as a number.
_TYPES: Final = {
    "message_size": "C",
    "message_arrival_time": "T",
    "create_time": "A",
    "named_attribute": "A",
    "sender": "S",
    "original_recipient": "O",
    "recipient": "R",
    "done_recipient": "D",
}
_NOTIFY: Final = {"NEVER": 1, "SUCCESS": 2, "FAILURE": 4, "DELAY": 8}
_RET: Final = {"FULL": 1, "HDRS": 2}


@define
class Parts:
    """Which parts of a message are shown, and how."""

    envelope: bool = False
    header: bool = False
    body: bool = False
    with_types: bool = False
    is_verbose: bool = False

    def line(self, kind: str, text: bytes) -> bytes:
        """A line, behind the number of its record type when types are asked for."""
        return (b"%3d " % ord(kind) if self.with_types else b"") + text + b"\n"


def postcat(call: Call) -> int:
    """The command. Raises Fatal."""
    parts, in_queue = Parts(), False
    for letter, _ in call.options("bc:dehoqrs:v", _USAGE):
        match letter:
            case "b":
                parts.body = True
            case "d":
                parts.with_types = True
            case "e":
                parts.envelope = True
            case "h":
                parts.header = True
            case "q":
                in_queue = True
            case "v":
                parts.is_verbose = True
            case "o" | "s":
                raise Fatal(f"-{letter} is not supported: the file is none of Postfix's")
    if not (parts.envelope or parts.header or parts.body):
        parts.envelope = parts.header = parts.body = True
    if not in_queue:
        raise Fatal("only messages in the queue can be shown: postcat -q queue_id")
    with call.spool() as spool:
        for queue_id in call.arguments:
            if not _ID.fullmatch(queue_id):
                raise Fatal(f"bad mail queue ID: {queue_id}")
            for line in _shown(spool, queue_id, parts):
                call.stdout.write(_harmless(line) if call.stdout.isatty() else line)
    call.stdout.flush()
    return 0


def _shown(spool: Spool, queue_id: str, parts: Parts) -> Iterator[bytes]:
    """The lines of one message. Raises Fatal when there is none, or it cannot be read."""
    message = _claim(spool, queue_id)
    where = f"{message.entry.state.value}/{message.queue_id}".encode()
    try:
        if parts.envelope:
            yield b"*** ENVELOPE RECORDS %s ***\n" % where
            for name, value in _records(message):
                kind = _TYPES.get(name, "A")
                yield parts.line(kind, f"{name}: {value}".encode("utf-8", "replace"))
            yield parts.line("M", b"*** MESSAGE CONTENTS %s ***" % where)
        if parts.header or parts.body:
            yield from _text(message, parts)
        if parts.envelope:
            yield parts.line("X", b"*** HEADER EXTRACTED %s ***" % where)
            yield parts.line("E", b"*** MESSAGE FILE END %s ***" % where)
    except (Corrupt, SpoolError) as error:
        raise Fatal(f"open queue file {queue_id}: {error}") from None
    finally:
        message.close()


def _claim(spool: Spool, queue_id: str) -> Message:
    for _ in range(2):  # it may move once between being found and being opened
        try:
            entry = spool.find(queue_id.upper())
            if entry is None or entry.state not in STATES.values():
                break
            return spool.claim(entry)
        except Gone:
            continue
        except (Corrupt, SpoolError) as error:
            raise Fatal(f"open queue file {queue_id}: {error}") from None
        except ValueError:  # no id of ours
            break
    raise Fatal(f"open queue file {queue_id}: No such file or directory")


def _records(message: Message) -> Iterator[tuple[str, str]]:
    """Name and value of the envelope's records, in Postfix's order."""
    envelope, origin, size = message.envelope, message.origin, message.size
    count = len(envelope.recipients)
    numbers = (size, 0, count, 0, size, 256 if envelope.smtputf8 else 0)
    yield "message_size", " ".join(f"{number:15d}" for number in numbers)
    arrived = time.asctime(time.localtime(int(message.entry.arrived_at)))
    yield "message_arrival_time", arrived
    yield "create_time", arrived
    yield from _attributes(
        ("log_ident", message.queue_id if origin.client else ""),
        ("rewrite_context", "local"),
        ("sasl_username", origin.login),
        ("envelope_id", envelope.envid),
        ("ret_flags", _RET.get(envelope.ret, "")),
    )
    yield "sender", _raw(envelope.sender)
    port = origin.port or ""
    yield from _attributes(
        ("encoding", "8bit" if envelope.eight_bit else ""),
        ("log_client_address", origin.client),
        ("log_client_port", port),
        ("log_helo_name", origin.helo),
        ("log_protocol_name", origin.protocol if origin.client else ""),
        ("client_address", origin.client),
        ("client_port", port),
        ("helo_name", origin.helo),
        ("protocol_name", origin.protocol if origin.client else ""),
        ("client_address_type", (10 if ":" in origin.client else 2) if origin.client else ""),
    )
    for record in message.recipients:
        yield from _recipient(record)


def _recipient(record: RecipientRecord) -> Iterator[tuple[str, str]]:
    recipient = record.recipient
    address = _raw(recipient.address)
    yield from _attributes(
        ("notify_flags", sum(_NOTIFY.get(word, 0) for word in recipient.notify) or ""),
        ("dsn_orig_rcpt", recipient.orcpt or f"rfc822;{recipient.address}"),
    )
    yield "original_recipient", address
    is_open = record.outcome in (Outcome.PENDING, Outcome.UNCERTAIN)
    yield ("recipient" if is_open else "done_recipient"), address


def _attributes(*pairs: tuple[str, object]) -> Iterator[tuple[str, str]]:
    """Those attributes that have a value."""
    for name, value in pairs:
        if value != "":
            yield "named_attribute", f"{name}={value}"


def _raw(address: str) -> str:
    """An address as Postfix keeps it: the local part without its quotes."""
    local, at, domain = address.rpartition("@")
    if local.startswith('"') and local.endswith('"') and len(local) > 1:
        local = _ESCAPED.sub(r"\1", local[1:-1])
    return f"{local}{at}{domain}"


def _harmless(line: bytes) -> bytes:
    text = line.decode("utf-8", "replace").removesuffix("\n")
    return "\t".join(CONTROL.sub("?", each) for each in text.split("\t")).encode() + b"\n"


def _text(message: Message, parts: Parts) -> Iterator[bytes]:
    """Header and body, as far as they are wanted: the body begins at the first other line."""
    in_header = True
    prefix = b"regular_text: " if parts.is_verbose else b""
    for line in _lines(message):
        if in_header and not _HEADER_LINE.match(line):
            in_header = False
            if not parts.body:
                return
        if parts.header if in_header else parts.body:
            yield parts.line("N", prefix + line)


def _lines(message: Message) -> Iterator[bytes]:
    """The lines of a message without their ends, a piece of it in memory at a time."""
    rest = b""
    for offset in range(0, message.size, _PIECE):
        *lines, rest = (rest + message.read(offset, _PIECE)).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r")
    if rest:
        yield rest
