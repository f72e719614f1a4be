"""Parts with over-long lines encoded anew (RFC 2045 6), all other octets as they are.

Two passes over the same message: `survey` finds the parts with a line over 998 octets, `reencode`
writes the message again with just these in quoted-printable (text) or base64 (all else); what is
in one of the two already only gets its lines cut. Blind folding would change what is read; this
does not. What a signature covers is left alone, and `Survey.is_sealed` says so.

Works in pieces; memory does not grow with the message. Nothing here fails.
"""

from __future__ import annotations

import re
from binascii import b2a_base64, b2a_qp
from collections.abc import Iterable, Iterator
from typing import Protocol

from attrs import frozen

from m365gw.smtp.repair.header_fields import LINE_LIMIT, Field, HeaderFields, field
from m365gw.smtp.repair.mime_parts import Kind, Part, PartReader, Piece

_BASE64_LINE = 76
_BASE64_GROUP = 57  # octets that make one line
_QP_LINE = re.compile(rb"(?:=[0-9A-Fa-f]{2}|[^=]|=){1,25}", re.DOTALL)


@frozen
class Survey:
    """What is to be done: the numbers of the parts to encode anew."""

    parts: frozenset[int]
    is_sealed: bool  # a long line stays for the sake of a signature


def pieces_of(message: Iterable[bytes]) -> Iterator[Piece]:
    """All pieces of a message that is given in chunks."""
    reader = PartReader()
    for octets in message:
        yield from reader.feed(octets)
    yield from reader.finish()


def survey(message: Iterable[bytes]) -> Survey:
    """Look for over-long lines."""
    parts: set[int] = set()
    is_sealed = False
    length = 0
    for piece in pieces_of(message):
        if piece.kind is not Kind.BODY:
            continue
        length = len(piece.octets) + (0 if piece.begins_line else length)
        if length > LINE_LIMIT + 2:
            if piece.part.is_sealed:
                is_sealed = True
            else:
                parts.add(piece.part.number)
    return Survey(frozenset(parts), is_sealed)


def reencode(message: Iterable[bytes], parts: frozenset[int]) -> Iterator[bytes]:
    """A message with the bodies of these parts encoded anew, and all else as it was."""
    body: _Body | None = None
    for piece in pieces_of(message):
        is_body = piece.kind is Kind.BODY and piece.part.number in parts
        if body is not None and not is_body:
            yield body.finish(at_boundary=True)
            body = None
        if is_body:
            body = body or _body_of(piece.part)
            yield body.feed(piece.octets)
        elif piece.kind is Kind.HEADER and piece.part.number in parts:
            yield _header(piece.octets, piece.part)
        else:
            yield piece.octets
    if body is not None:
        yield body.finish(at_boundary=False)


class _Body(Protocol):
    """Encodes one body, piece by piece. The line end before a boundary is none of its own."""

    def feed(self, octets: bytes) -> bytes: ...

    def finish(self, *, at_boundary: bool) -> bytes: ...


class _Quoted:
    """Text into quoted-printable. A line that comes in pieces is joined by soft line breaks."""

    def __init__(self) -> None:
        self._is_open = False  # the last line has no end yet

    def feed(self, octets: bytes) -> bytes:
        joint = b"=\r\n" if self._is_open else b""
        ended = octets.endswith(b"\n")
        self._is_open = not ended
        line = octets.rstrip(b"\n").removesuffix(b"\r") if ended else octets
        written = b2a_qp(line, istext=False).replace(b"=\n", b"=\r\n")
        return joint + written + (b"\r\n" if ended else b"")

    def finish(self, *, at_boundary: bool) -> bytes:
        return b""


class _QuotedAgain:
    """Quoted-printable with its lines cut."""

    def feed(self, octets: bytes) -> bytes:
        line = octets.rstrip(b"\r\n")
        return b"=\r\n".join(_QP_LINE.findall(line)) + octets[len(line) :]

    def finish(self, *, at_boundary: bool) -> bytes:
        return b""


class _Base64:
    """Any octets into base64."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, octets: bytes) -> bytes:
        octets = self._held + octets
        certain = max(0, len(octets) - len(b"\r\n"))
        certain -= certain % _BASE64_GROUP
        self._held = octets[certain:]
        return _base64_lines(octets[:certain])

    def finish(self, *, at_boundary: bool) -> bytes:
        last = self._held
        return _base64_lines(last.removesuffix(b"\n").removesuffix(b"\r") if at_boundary else last)


class _Base64Again:
    """Base64 with its lines cut anew."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, octets: bytes) -> bytes:
        letters = self._held + octets.strip(b" \t\r\n")
        certain = len(letters) - len(letters) % _BASE64_LINE
        self._held = letters[certain:]
        return _cut(letters[:certain])

    def finish(self, *, at_boundary: bool) -> bytes:
        return _cut(self._held)


def _body_of(part: Part) -> _Body:
    if part.encoding == "quoted-printable":
        return _QuotedAgain()
    if part.encoding == "base64":
        return _Base64Again()
    return _Quoted() if part.content_type.startswith("text/") else _Base64()


def _header(octets: bytes, part: Part) -> bytes:
    """The header of a part that is encoded anew; it says so."""
    if part.encoding in ("quoted-printable", "base64"):
        return octets
    header, length = HeaderFields.parse(octets)
    encoding = "quoted-printable" if part.content_type.startswith("text/") else "base64"
    kept = [one for one in header.fields if one.name != "content-transfer-encoding"]
    added: list[Field] = []
    if part.number == 0 and "mime-version" not in header:
        added.append(field("MIME-Version", "1.0"))
    added.append(field("Content-Transfer-Encoding", encoding))
    return HeaderFields((*kept, *added), header.blank_line).octets() + octets[length:]


def _base64_lines(octets: bytes) -> bytes:
    return b"".join(
        b2a_base64(octets[at : at + _BASE64_GROUP], newline=False) + b"\r\n"
        for at in range(0, len(octets), _BASE64_GROUP)
    )


def _cut(letters: bytes) -> bytes:
    return b"".join(
        letters[at : at + _BASE64_LINE] + b"\r\n" for at in range(0, len(letters), _BASE64_LINE)
    )
