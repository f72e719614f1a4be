"""The header fields of a message, decoded for reading.

Whatever the octets are, something readable comes out: text that cannot be decoded is shown as it
stands, and nothing is escaped yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header, make_header

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)
_FOLD = re.compile(rb"\r?\n[ \t]+")  # one space on a screen, however wide the fold was


def fields(header: bytes) -> Iterator[tuple[str, str]]:
    """Name and decoded value of each field (RFC 5322 2.2, RFC 2047); other lines have no name."""
    for line in _FOLD.sub(b" ", header).split(b"\n"):
        found = _FIELD.fullmatch(line.rstrip(b"\r"))
        if found is not None:
            yield found[1].decode("ascii"), _decoded(found[2].strip())
        elif line.strip():
            yield "(no field)", _text(line.strip())


def _decoded(value: bytes) -> str:
    text = _text(value)
    if "=?" not in text:
        return text
    try:
        return str(make_header(decode_header(text)))
    except (HeaderParseError, LookupError, ValueError):
        return text


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
