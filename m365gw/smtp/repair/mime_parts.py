"""The parts of a message (RFC 2046 5.1) found in its octets, as a stream.

`PartReader` takes the message in pieces of any size and says of each line, or piece of a long one,
to which part it belongs: header, body, or the structure around. It judges nothing and changes
nothing: put together, what it gives out is what it took. Header sections and boundaries are read
by the standard library.

Memory: one header section of at most `HEADER_LIMIT` octets, and a piece of a line. Nesting is
followed to `DEPTH_LIMIT`; what lies deeper is body. A Content-Type over `TYPE_LIMIT` is not read:
the library takes minutes for one that was made for it. Nothing here fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesHeaderParser
from enum import Enum

from attrs import define, frozen

HEADER_LIMIT = 262144
DEPTH_LIMIT = 100
PIECE_LIMIT = 65536  # octets of a line given out at a time
TYPE_LIMIT = 2000  # octets of the longest Content-Type that is read

_parser = BytesHeaderParser()  # looks into no value
_UNDIVIDED = re.compile(rb"(=[0-9A-Fa-f]?|\r)\Z")  # begins what must not be cut in two


class Kind(Enum):
    """What a piece is."""

    HEADER = "header"  # a whole header section with its blank line
    BODY = "body"
    AROUND = "around"  # boundaries, and text before, between and after the parts


@frozen
class Part:
    """One entity: its number in the message, and what its header says of its body."""

    number: int
    content_type: str = "text/plain"
    encoding: str = ""  # Content-Transfer-Encoding in lower case, "" when there is none
    is_leaf: bool = True
    is_sealed: bool = False  # inside of something signed or encrypted: may not be changed


@frozen
class Piece:
    """Octets of a part: whole lines, unless the line is longer than a piece may be.

    It is never cut inside of a line end or of an octet in quoted-printable.
    """

    kind: Kind
    octets: bytes
    part: Part
    begins_line: bool = True


@define
class _Level:
    boundary: bytes
    part: Part


class PartReader:
    """Reads one message. Give it all with `feed`, then call `finish`."""

    def __init__(self) -> None:
        self._levels: list[_Level] = []
        self._places: dict[bytes, int] = {}  # boundary to its level, the innermost one
        self._part = Part(0)
        self._count = 1
        self._header: list[bytes] | None = []  # lines of the header being read; None: body
        self._header_size = 0
        self._rest = b""
        self._begins_line = True

    def feed(self, octets: bytes) -> Iterator[Piece]:
        """The pieces that are complete after these octets."""
        octets = self._rest + octets
        start = 0
        while (end := octets.find(b"\n", start) + 1) > 0:
            yield from self._line(octets[start:end])
            start = end
        self._rest = octets[start:]
        if len(self._rest) > PIECE_LIMIT:
            held = _UNDIVIDED.search(self._rest)
            end = held.start() if held else len(self._rest)
            piece, self._rest = self._rest[:end], self._rest[end:]
            yield from self._line(piece)

    def finish(self) -> Iterator[Piece]:
        """What is left at the end of the message."""
        rest, self._rest = self._rest, b""
        if rest:
            yield from self._line(rest)
        if self._header is not None:
            yield from self._end_header()

    def _line(self, octets: bytes) -> Iterator[Piece]:
        begins, self._begins_line = self._begins_line, octets.endswith(b"\n")
        level = self._delimited(octets) if begins else None
        if level is not None:
            if self._header is not None:
                yield from self._end_header()
            self._enter(level, octets)
            yield Piece(Kind.AROUND, octets, self._part)
        elif self._header is None:
            kind = Kind.BODY if self._part.is_leaf else Kind.AROUND
            yield Piece(kind, octets, self._part, begins)
        else:
            self._header.append(octets)
            self._header_size += len(octets)
            is_over = begins and octets in (b"\r\n", b"\n")
            if is_over or self._header_size > HEADER_LIMIT:
                yield from self._end_header()

    def _delimited(self, line: bytes) -> int | None:
        """The level whose boundary this line is, counted from outside."""
        if not (self._levels and line.startswith(b"--")):
            return None
        text = line.rstrip(b" \t\r\n")
        found = [self._places.get(text), self._places.get(text.removesuffix(b"--"))]
        return max((place for place in found if place is not None), default=None)

    def _enter(self, level: int, line: bytes) -> None:
        """Behind a boundary: a new part begins, or its multipart is over."""
        around = self._levels[level].part
        if line.rstrip(b" \t\r\n").endswith(self._levels[level].boundary + b"--"):
            self._leave(level)
            self._part, self._header = around, None
        else:
            self._leave(level + 1)
            self._begin(around.is_sealed)

    def _leave(self, level: int) -> None:
        """This level and those inside of it are over."""
        if level < len(self._levels):
            del self._levels[level:]
            self._places = {each.boundary: place for place, each in enumerate(self._levels)}

    def _begin(self, is_sealed: bool) -> None:
        self._part = Part(self._count, is_sealed=is_sealed)
        self._count += 1
        self._header, self._header_size = [], 0

    def _end_header(self) -> Iterator[Piece]:
        octets, self._header = b"".join(self._header or ()), None
        told = _parser.parsebytes(octets)
        is_sealed = self._part.is_sealed or _seals(told)
        kind = "" if _is_too_long(told) else told.get_content_type()
        encoding = str(told.get("content-transfer-encoding", "")).strip().lower()
        is_transparent = encoding in ("", "7bit", "8bit", "binary")
        boundary = _boundary(told) if is_transparent and kind.startswith("multipart/") else b""
        is_multipart = bool(boundary and len(self._levels) < DEPTH_LIMIT)
        is_nested = kind == "message/rfc822" and is_transparent and self._count < DEPTH_LIMIT
        self._part = Part(
            self._part.number, kind, encoding, not (is_multipart or is_nested), is_sealed
        )
        yield Piece(Kind.HEADER, octets, self._part)
        if is_multipart:
            self._places[b"--" + boundary] = len(self._levels)
            self._levels.append(_Level(b"--" + boundary, self._part))
        elif is_nested:
            self._begin(is_sealed)


def _seals(header: Message) -> bool:
    """Whether what is below this header may not be changed: signed, encrypted, or not known."""
    kinds = ("multipart/signed", "multipart/encrypted", "application/pkcs7-mime")
    if _is_too_long(header) or "dkim-signature" in header:
        return True
    return header.get_content_type() in kinds


def _is_too_long(header: Message) -> bool:
    return len(str(header.get("content-type", ""))) > TYPE_LIMIT


def _boundary(header: Message) -> bytes:
    """The boundary a multipart names, b"" when it cannot be read."""
    try:
        return header.get_boundary("").encode("utf-8", "surrogateescape")
    except ValueError:
        return b""
