"""The header of a message from a local program, completed as a submission agent must (RFC 6409 8).

Programs that hand mail to `sendmail` leave it to that to add Date, Message-ID and From, and to
take Bcc away. Everything else stays octet for octet. A message without any header gets one, and the
blank line behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from email.header import Header
from email.utils import quote

from m365gw.smtp.trace import date

# Nobody else is to see these, or they are added where mail is delivered (RFC 5322 3.6.3, 3.6.7).
DROPPED = frozenset({b"bcc", b"resent-bcc", b"return-path"})
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")


def complete(
    octets: bytes, *, sender: str, full_name: str, message_id: str, at: datetime
) -> tuple[bytes, int]:
    """The completed header, with its blank line, and how many of these octets it stands for.

    `octets` are the beginning of a message, with all of its header. `message_id` comes without
    brackets; `at` is aware; `sender` "" is the null sender.
    """
    kept, names, length = _split(octets)
    added = []
    if b"date" not in names:
        added.append(f"Date: {date(at)}\r\n")
    if b"message-id" not in names:
        added.append(f"Message-ID: <{message_id}>\r\n")
    if b"from" not in names:
        added.append(f"From: {mailbox(full_name, sender)}\r\n")
    return kept + "".join(added).encode() + b"\r\n", length


def mailbox(full_name: str, address: str) -> str:
    """A From field's value for this name and address."""
    address = address or "MAILER-DAEMON"
    if not full_name:
        return address if address == "MAILER-DAEMON" else f"<{address}>"
    if _PLAIN_NAME.fullmatch(full_name):
        phrase = full_name
    elif full_name.isascii():
        phrase = f'"{quote(full_name)}"'
    else:
        phrase = Header(full_name, "utf-8").encode(maxlinelen=0)
    return f"{phrase} <{address}>"


def _split(octets: bytes) -> tuple[bytes, set[bytes], int]:
    """The fields that stay, the names of all, and how many octets the header has.

    The header ends with its blank line, or before the first line that is no field.
    """
    kept: list[bytes] = []
    names: set[bytes] = set()
    length, is_kept = 0, True
    for line in _lines(octets):
        if line in (b"\r\n", b"\n", b""):
            length += len(line)
            break
        field = _FIELD.match(line)
        if field is not None:
            name = field[1].lower()
            names.add(name)
            is_kept = name not in DROPPED
        elif not (names and line[:1] in b" \t"):
            break
        length += len(line)
        if is_kept:
            kept.append(line if line.endswith(b"\n") else line + b"\r\n")
    return b"".join(kept), names, length


def _lines(octets: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(octets):
        end = octets.find(b"\n", start) + 1 or len(octets)
        yield octets[start:end]
        start = end
