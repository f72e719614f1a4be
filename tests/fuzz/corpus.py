"""Good dialogues, and how they are spoiled: what a careless or hostile client might send."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final

LOGIN, PASSWORD = b"fax", b"correct-horse-battery-staple"
_RIGHT = base64.b64encode(b"\0" + LOGIN + b"\0" + PASSWORD)
_WRONG = base64.b64encode(b"\0" + LOGIN + b"\0guess")

_HELLO = b"EHLO client.example.com\r\n"
_MAIL = b"MAIL FROM:<me@example.com>\r\n"
_RCPT = b"RCPT TO:<you@example.net>\r\n"
_HEADER = b"Subject: fuzz\r\n\r\n"
_PLAIN = b"AUTH PLAIN " + _RIGHT + b"\r\n"

DIALOGUES: Final = (
    _HELLO + _MAIL + _RCPT + b"DATA\r\n" + _HEADER + b"Hello.\r\n.\r\nQUIT\r\n",
    _HELLO + b"MAIL FROM:<me@example.com> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=a+2Bb\r\n"
    b"RCPT TO:<you@example.net> NOTIFY=FAILURE,DELAY ORCPT=rfc822;you@example.net\r\n"
    + _RCPT
    + b"DATA\r\n..stuffed\r\n.\r\n"
    + _MAIL
    + _RCPT
    + b"DATA\r\n"
    + _HEADER
    + b"Second\r\n..\r\n.\r\n",
    _HELLO + _MAIL + _RCPT + b"BDAT 17\r\n" + _HEADER + b"BDAT 8 LAST\r\nHello.\r\nQUIT\r\n",
    _HELLO + _MAIL + _RCPT + b"BDAT 6 LAST\r\n.\r\n.\r\n" + _MAIL + _RCPT + b"BDAT 0 LAST\r\n",
    b"HELO old\r\nVRFY x\r\nEXPN x\r\nHELP\r\nNOOP\r\n" + _MAIL + _RCPT + b"RSET\r\n" + _MAIL,
    _HELLO
    + b"AUTH LOGIN\r\n"
    + base64.b64encode(LOGIN)
    + b"\r\n"
    + base64.b64encode(PASSWORD)
    # The second of these is a new message of the same session.
    + b"\r\n"
    + _MAIL
    + _RCPT
    + b"DATA\r\n"
    + _HEADER
    + b"\r\n.\r\n"
    + _MAIL,
    _HELLO + _PLAIN + _MAIL + _RCPT + b"DATA\r\n" + _HEADER + b"in\r\n.\r\n",
    _HELLO + b"AUTH PLAIN " + _WRONG + b"\r\n" + _MAIL + _RCPT + b"DATA\r\nno\r\n.\r\n",
    _HELLO + b"AUTH LOGIN\r\n*\r\nAUTH PLAIN\r\n" + _RIGHT + b"\r\n" + _MAIL + _RCPT,
    _HELLO + b"STARTTLS\r\n",
    _HELLO + _PLAIN + _MAIL + _RCPT + b"BDAT 3\r\na\r\nRSET\r\nDATA\r\n.\r\nQUIT\r\n",
)

# What may stand where something else should. The ends of lines are the smugglers' collection.
_ENDS: Final = (
    *(b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r.\r", b"\r\n.\r\r\n", b"\r\r\n.\r\r\n"),
    *(b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n. \r\n", b"\r\n..\r\n", b"\r\n.\r\n", b".\r\n"),
    *(b"\x85.\x85", b"\xe2\x80\xa8.\xe2\x80\xa8", b"\x0b.\x0b", b"\r\n.\r\n.\r\n"),
)
_TOKENS: Final = (
    *(_ENDS + (b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b"<", b">", b'"', b"\\", b"@", b".")),
    *(b"DATA\r\n", b"BDAT 10 LAST\r\n", b"BDAT 1\r\n", b"BDAT -1\r\n", b"BDAT\r\n", b"RSET\r\n"),
    *(b"BDAT 99999999999\r\n", b"QUIT\r\n", b"STARTTLS\r\n", b"AUTH PLAIN\r\n", b"AUTH LOGIN\r\n"),
    *(b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n", b"*\r\n"),
    *(b"MAIL FROM:<>\r\n", b"MAIL FROM:<x@elsewhere.example>\r\n", b"RCPT TO:<@>\r\n"),
    *("MAIL FROM:<\xfc@example.com> SMTPUTF8\r\n".encode(), b"RCPT TO:<a\0b@example.net>\r\n"),
    *(_HELLO, _MAIL, _RCPT, _PLAIN, b"x" * 600, b"x" * 13_000, b"y\r\n" * 2000, b"=" * 7),
)

Change = Callable[[random.Random, bytes], bytes]


def _cut(chance: random.Random, octets: bytes) -> bytes:
    begin = chance.randrange(len(octets) + 1)
    return octets[:begin] + octets[begin + chance.randrange(1, 40) :]


def _insert(chance: random.Random, octets: bytes) -> bytes:
    place = chance.randrange(len(octets) + 1)
    return octets[:place] + chance.choice(_TOKENS) + octets[place:]


def _flip(chance: random.Random, octets: bytes) -> bytes:
    place = chance.randrange(len(octets) + 1)
    return octets[:place] + bytes([chance.randrange(256)]) + octets[place + 1 :]


def _end_otherwise(chance: random.Random, octets: bytes) -> bytes:
    """Another end of content than the one that counts, with commands behind it."""
    return octets.replace(b"\r\n.\r\n", chance.choice(_ENDS) + _MAIL + _RCPT + b"DATA\r\n", 1)


def _end_lines_otherwise(chance: random.Random, octets: bytes) -> bytes:
    lines = octets.split(b"\r\n")
    ends = [chance.choice((b"\r\n",) * 9 + (b"\n", b"\r", b"\r\r\n", b"\n\r")) for _ in lines]
    return b"".join(line + end for line, end in zip(lines, ends, strict=True))


def _move_lines(chance: random.Random, octets: bytes) -> bytes:
    lines = octets.splitlines(keepends=True)
    if lines:
        moved = lines.pop(chance.randrange(len(lines)))
        for _ in range(chance.randrange(3)):
            lines.insert(chance.randrange(len(lines) + 1), moved)
    return b"".join(lines)


def _splice(chance: random.Random, octets: bytes) -> bytes:
    other = chance.choice(DIALOGUES)
    return octets[: chance.randrange(len(octets) + 1)] + other[chance.randrange(len(other)) :]


def _change_number(chance: random.Random, octets: bytes) -> bytes:
    digits = [place for place, octet in enumerate(octets) if 48 <= octet <= 57]
    if not digits:
        return octets
    place = chance.choice(digits)
    number = chance.choice((b"0", b"1", b"7", b"00", b"999", b"4294967296", b"-1", b"1e3"))
    return octets[:place] + number + octets[place + 1 :]


_CHANGES: Final[Sequence[Change]] = (
    *(_cut, _insert, _insert, _flip, _end_otherwise, _end_lines_otherwise, _move_lines, _splice),
    _change_number,
)


def spoiled(chance: random.Random) -> bytes:
    """One dialogue with a few changes; now and then with none."""
    octets = chance.choice(DIALOGUES)
    if chance.random() < 0.5:
        octets += chance.choice(DIALOGUES)
    for _ in range(chance.choice((0, 1, 1, 2, 3, 5, 8))):
        octets = chance.choice(_CHANGES)(chance, octets)
    return octets


def segments(chance: random.Random, octets: bytes) -> Iterator[bytes]:
    """The octets as they might arrive: all at once, one by one, or in pieces."""
    way = chance.random()
    most = len(octets) if way < 0.3 else 1 if way < 0.35 and len(octets) < 3000 else 200
    place = 0
    while place < len(octets):
        size = most if most in (1, len(octets)) else chance.randrange(1, most)
        yield octets[place : place + size]
        place += size
