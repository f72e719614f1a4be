"""Parts of a mail we write ourselves, and text of strangers made fit to stand in them.

Put together by hand: the email package decodes and folds what it is given, and our mail quotes
strangers. Everything from outside passes `plain` or an encoding first, so it can neither begin a
header field nor end a part. Nothing fails here.
"""

from __future__ import annotations

import base64
import binascii
import re
import textwrap
from collections.abc import Iterable, Sequence
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Final

LONGEST_LINE: Final = 998  # octets without CRLF (RFC 5322 2.1.1)
LONGEST_QUOTE: Final = 900  # octets of somebody else's text in one place

_UNCLEAN: Final = re.compile(rb"\x00|\r(?!\n)|(?<!\r)\n")
_LONG_LINE: Final = re.compile(rb"[^\n]{999,}")


def plain(text: str) -> str:
    """Text of a stranger on one line of bounded length: no controls, no line ends of any kind."""
    clean = "".join(c if c.isprintable() else " " for c in text[:LONGEST_QUOTE])
    cut = " ".join(clean.split()).encode("utf-8", "replace")[:LONGEST_QUOTE]
    return cut.decode("utf-8", "ignore")


def decoded(text: str) -> str:
    """Header text as people read it (RFC 2047), on one line; as it was sent when that fails."""
    try:
        return plain(str(make_header(decode_header(text))))
    except (HeaderParseError, LookupError, ValueError):
        return plain(text)


def wrapped(label: str, text: str) -> list[str]:
    """A labelled paragraph. Addresses and commands stay in one piece, up to a legal line."""
    return textwrap.wrap(
        text,
        width=76,
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [label.rstrip()]


def fits(octets: bytes) -> bool:
    """Whether octets may stand in a mail as they are, if it may have 8-bit content."""
    return not _UNCLEAN.search(octets) and not _LONG_LINE.search(octets)


def part(kind: str, body: bytes, encoding: str = "") -> bytes:
    """One part: `kind` is its Content-Type; the encoding is 7bit or 8bit when none is named."""
    encoding = encoding or ("7bit" if body.isascii() else "8bit")
    header = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return header.encode("ascii") + body


def encoded_part(kind: str, body: bytes) -> bytes:
    """One part in base64, whatever the octets are."""
    return part(kind, base64.encodebytes(body).replace(b"\n", b"\r\n"), "base64")


def text_part(lines: Iterable[str]) -> bytes:
    """Words for a person."""
    words = "\r\n".join(lines) + "\r\n"
    if words.isascii():
        return part("text/plain; charset=us-ascii", words.encode("ascii"))
    body = binascii.b2a_qp(words.encode("utf-8", "replace"), istext=True)
    return part("text/plain; charset=utf-8", body, "quoted-printable")


def multipart(kind: str, boundary: str, parts: Sequence[bytes]) -> bytes:
    """The last header fields of a mail, and its parts. `kind` begins the Content-Type."""
    while any(boundary.encode() in each for each in parts):
        boundary += "_"
    fields = f'MIME-Version: 1.0\r\nContent-Type: {kind};\r\n\tboundary="{boundary}"\r\n'
    if not all(each.isascii() for each in parts):
        fields += "Content-Transfer-Encoding: 8bit\r\n"
    opening = f"--{boundary}\r\n".encode()
    body = b"".join(opening + each + b"\r\n" for each in parts)
    preface = b"\r\nThis is a message in MIME format.\r\n\r\n"
    return fields.encode("ascii") + preface + body + f"--{boundary}--\r\n".encode()
