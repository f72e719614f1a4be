"""Message content as it arrives: DATA and BDAT readers that work on chunks, never on lines.

Only CRLF.CRLF ends DATA (RFC 5321 4.1.1.4), whatever other line ends a client makes up, and
whatever the length of a line. What is wrong inside the content (bare CR, bare LF, NUL) is
noted and read over, so that the session can refuse after the true end and stay in
step. Octets come out exactly as sent, less the dots added for transparency.

Each octet is looked at a fixed number of times by C code; memory held between chunks is at most
four octets. Nothing here raises.
"""

from __future__ import annotations

import re

from attrs import frozen

_CRLF = b"\r\n"
_END = b"\r\n.\r\n"
_DOT_LINE = re.compile(rb"\r\n\.")  # for these two a search of `re` is faster than bytes.find
_BARE_CR = re.compile(rb"\r(?!\n)")
_HARMLESS = bytes(octet for octet in range(256) if octet not in b"\r\n\0")


@frozen
class Faults:
    """What a content reader saw that no message may hold (RFC 5321 2.3.8)."""

    bare_cr: bool = False
    bare_lf: bool = False
    nul: bool = False

    @property
    def any(self) -> bool:
        """Whether anything is wrong."""
        return self.bare_cr or self.bare_lf or self.nul


class ContentScanner:
    """Watches the octets of one message go by, in chunks cut anywhere.

    The length of the content so far is `size`.
    """

    def __init__(self) -> None:
        self.size = 0
        self._bare_cr = False
        self._bare_lf = False
        self._nul = False
        self._held_cr = False  # the last octet was a CR: bare, unless an LF follows

    @property
    def faults(self) -> Faults:
        """The faults of the content so far, as if it ended here."""
        return Faults(
            bare_cr=self._bare_cr or self._held_cr,
            bare_lf=self._bare_lf,
            nul=self._nul,
        )

    def feed(self, data: bytes) -> None:
        """Look at the next octets of the content, dots already removed."""
        if not data:
            return
        self.size += len(data)
        if self._held_cr:
            data = b"\r" + data
        self._held_cr = data.endswith(b"\r")
        if self._held_cr:
            data = data[:-1]
        if not self._bare_cr:
            self._bare_cr = _BARE_CR.search(data) is not None
        # Without a bare CR, what is left of a good message is its CRLFs: one cheap pass for both.
        ends = data.translate(None, _HARMLESS)
        if self._bare_cr or ends != _CRLF * (len(ends) // 2):
            self._bare_lf = self._bare_lf or data.count(b"\n") > data.count(_CRLF)
            self._nul = self._nul or b"\0" in data


class DataReader:
    """The content of one DATA command: removes transparency dots, finds the end.

    When `finished` is true, `rest` holds the octets behind the end: the next commands.
    """

    def __init__(self) -> None:
        self.finished = False
        self.rest = b""
        self._scanner = ContentScanner()
        # The CRLF of the DATA command makes the first line a line: ".CRLF" at once is an empty
        # message. It is no part of the content, so it is taken off the first octets given out.
        self._held = _CRLF
        self._lent = len(_CRLF)

    @property
    def faults(self) -> Faults:
        """What is wrong with the content so far."""
        return self._scanner.faults

    @property
    def size(self) -> int:
        """Octets of content given out so far."""
        return self._scanner.size

    def feed(self, data: bytes) -> bytes:
        """The content octets that are certain after these; the last CRLF is part of them."""
        if self.finished:
            self.rest += data
            return b""
        data = self._held + data
        dot_line = _DOT_LINE.search(data)
        end = data.find(_END, dot_line.start()) if dot_line else -1
        if end >= 0:
            self.finished = True
            self._held = b""
            self.rest = data[end + len(_END) :]
            data = data[: end + len(_CRLF)]
        else:
            certain = len(data) - _begun(data)
            self._held = data[certain:]
            data = data[:certain]
        if not data:
            return b""
        # The first line that begins with a dot may be the end itself.
        content = data.replace(b"\r\n.", _CRLF) if dot_line and dot_line.start() != end else data
        if self._lent:
            content = content[self._lent :]
            self._lent = 0
        self._scanner.feed(content)
        return content


def _begun(data: bytes) -> int:
    """How many octets at the end of the data may be the beginning of CRLF.CRLF."""
    for length in range(len(_END) - 1, 0, -1):
        if data.endswith(_END[:length]):
            return length
    return 0


class ChunkReader:
    """The octets of one BDAT chunk (RFC 3030 2); no transparency, no end mark, only a count."""

    def __init__(self, size: int) -> None:
        self.rest = b""
        self._missing = size

    @property
    def finished(self) -> bool:
        """Whether the whole chunk has come; at once for a chunk of no octets."""
        return self._missing == 0

    def feed(self, data: bytes) -> bytes:
        """The octets of these that belong to the chunk; the others are added to `rest`."""
        chunk = data[: self._missing]
        self.rest += data[self._missing :]
        self._missing -= len(chunk)
        return chunk
