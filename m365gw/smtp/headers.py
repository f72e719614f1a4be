"""The header section of a message, looked at while it passes.

`HeaderScan` takes the content in pieces of any size and looks at nothing behind the header. It
keeps how often each field is there, and the values of the few fields that decide something. What
it keeps is bounded whatever comes: long lines, endless headers, made-up names.

Tolerant: folded fields, 8-bit text, bare line feeds, a space before the colon. The header ends at
the blank line, or before the first line that is neither a field nor the continuation of one (then
the content has no blank line, or no header at all). It never fails.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

KEPT: Final = frozenset(
    {
        *("auto-submitted", "content-transfer-encoding", "content-type", "date", "from"),
        *("message-id", "mime-version", "precedence", "reply-to", "return-path", "sender"),
        "subject",
    }
)  # and all that begin with "list-"

LINE_LIMIT: Final = 65536  # octets of one line that are looked at
KEPT_LIMIT: Final = 65536  # octets of values that are kept, all together
LINE_COST: Final = 50  # octets a kept line is taken to cost beside its own
NAMES_LIMIT: Final = 1000  # different names that are counted

_NAME: Final = re.compile(rb"[!-9;-~]{1,200}")
_SPACE, _TAB = b" \t"

# Names that need no second look, as they come to what they are called here.
_KNOWN: Final = {
    name.encode(): name
    for name in (
        *KEPT,
        *("received", "to", "cc", "user-agent", "x-mailer", "x-priority", "importance"),
        *("dkim-signature", "in-reply-to", "references", "list-id", "list-unsubscribe"),
    )
}


class HeaderScan:
    """What the header of one message holds.

    `size` is the number of octets of the header with its blank line; of all octets seen, while it
    is not `finished`. `stray` is the line that ended it without being blank, or b"".
    """

    __slots__ = (
        *("_counts", "_field", "_kept", "_start", "_tail", "_values"),
        *("finished", "size", "stray"),
    )

    def __init__(self) -> None:
        self.finished = False
        self.size = 0
        self.stray = b""
        self._counts: dict[str, int] = {}
        self._values: dict[str, list[list[bytes]]] = {}
        self._field: list[bytes] = []  # the lines of the last field, if they are kept
        self._kept = 0  # octets of all values
        self._tail = bytearray()  # a line that is not complete
        self._start = 0  # where in the content it begins

    def feed(self, octets: bytes) -> None:
        """The next octets of the content; what lies behind the header is ignored."""
        if self.finished:
            return
        seen, self.size = self.size, self.size + len(octets)
        if b"\n" not in octets:
            self._tail += octets[: LINE_LIMIT - len(self._tail)]
            return
        end = octets.find(b"\n\r\n")
        lines = (octets if end < 0 else octets[: end + 3]).split(b"\n")
        tail = lines.pop()
        first = lines[0]
        if self._tail:
            lines[0] = bytes(self._tail) + first
        place, is_blank = self._take(lines)
        if place == len(lines):
            self._tail = bytearray(tail[:LINE_LIMIT])
            self._start = self.size - len(tail)
            return
        if not is_blank:
            self.stray = lines[place]
        lines[0] = first
        begin = seen + sum(map(len, lines[:place])) + place if place else self._start
        self.size = seen + sum(map(len, lines[: place + 1])) + place + 1 if is_blank else begin
        self._end()

    def finish(self) -> None:
        """The content is over; a last line without an end is looked at, too."""
        if self.finished:
            return
        place, is_blank = self._take([bytes(self._tail)] if self._tail else [])
        if self._tail and not place and not is_blank:
            self.size = self._start
            self.stray = bytes(self._tail)
        self._end()

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each field is there, by its name in lower case."""
        return MappingProxyType(self._counts)

    @property
    def received_count(self) -> int:
        """Received fields: how many hosts it came by (RFC 5321 6.3)."""
        return self._counts.get("received", 0)

    @property
    def is_cut(self) -> bool:
        """Whether values may be missing, or not be whole: there was more than is kept."""
        return self._kept >= KEPT_LIMIT

    def values(self, name: str) -> Sequence[str]:
        """The values of a field that is kept, unfolded, in the order of the header."""
        return [_unfolded(lines) for lines in self._values.get(name, ())]

    def first(self, name: str) -> str:
        """The first value of a field that is kept, or ""."""
        lines = self._values.get(name)
        return _unfolded(lines[0]) if lines else ""

    def _take(self, lines: Sequence[bytes]) -> tuple[int, bool]:
        """Look at complete lines; gives the place of the one that ends the header, if it is blank.

        The place is behind the last one when the header goes on.
        """
        counts = self._counts
        for place, line in enumerate(lines):
            if not line or line == b"\r":
                return place, True
            if line[0] == _SPACE or line[0] == _TAB:
                if not counts:
                    return place, False
                if self._field:
                    self._keep(line)
                continue
            name, colon, value = line.partition(b":")
            field = _KNOWN.get(name.lower()) or _field_name(name)
            if not colon or not field:
                return place, False
            if field in counts:
                counts[field] += 1
            elif len(counts) < NAMES_LIMIT or field == "received":
                counts[field] = 1
            self._field = []
            if field in KEPT or field.startswith("list-"):
                self._keep(value)
                if self._field:
                    self._values.setdefault(field, []).append(self._field)
        return len(lines), False

    def _keep(self, octets: bytes) -> None:
        octets = octets[: min(LINE_LIMIT, max(0, KEPT_LIMIT - self._kept))]
        if octets:
            self._kept += len(octets) + LINE_COST
            self._field.append(octets)

    def _end(self) -> None:
        self.finished = True
        self._tail, self._field = bytearray(), []


def header_of(content: bytes) -> HeaderScan:
    """The finished scan of a whole content, or of a header alone."""
    scan = HeaderScan()
    scan.feed(content)
    scan.finish()
    return scan


def _field_name(name: bytes) -> str:
    """The name in lower case, or "" when a field cannot have it."""
    name = name.rstrip(b" \t")
    return name.lower().decode("ascii") if _NAME.fullmatch(name) else ""


def _unfolded(lines: Sequence[bytes]) -> str:
    return b"".join(line.removesuffix(b"\r") for line in lines).decode("utf-8", "replace").strip()
