"""Command lines: octets in, whole lines out, within a bound.

Only CRLF ends a line (RFC 5321 2.3.8). A line that is too long, or that holds a bare CR, a bare
LF or a NUL, is refused as a whole: the rest of it, up to its CRLF, is never read as a command.
Otherwise whoever can place octets inside a line could place commands there.

Failures: LineFault (500 5.5.2), which is LineTooLong or BareLineEnd, once for each fault. The
reader stays in step afterwards; how many of them a client may make is for the session to say.
"""

from __future__ import annotations

from m365gw.smtp.replies import Refused, Reply


class LineFault(Refused):
    """A command line that is none. `verb` is what it begins with: four octets, in capitals."""

    def __init__(self, line: bytes, words: str) -> None:
        super().__init__(Reply(500, "5.5.2", words))
        self.verb = line[:4].upper()


class LineTooLong(LineFault):
    """A command line over the limit."""

    def __init__(self, line: bytes, limit: int) -> None:
        super().__init__(line, f"Line too long; the limit here is {limit} octets")


class BareLineEnd(LineFault):
    """A command line with a CR, LF or NUL that is not part of its CRLF."""

    def __init__(self, line: bytes) -> None:
        super().__init__(line, "Lines end with CR LF; a bare CR, bare LF or NUL is not allowed")


class LineReader:
    """Cuts what a client sends into command lines.

    `limit` is the most octets a line may have, CRLF included (RFC 5321 4.5.3.1.4 counts so); it
    may be changed at any time, as AUTH needs more (RFC 4954 4). What is buffered is bounded by
    `limit` plus what was fed since `next` last returned None.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buffer = bytearray()
        self._searched = 0  # octets at the front of the buffer that hold no LF
        self._refused = False  # the line being read was refused: skip to its CRLF

    @property
    def buffered(self) -> int:
        """Octets received and not yet handed out."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take octets as they came from the transport."""
        self._buffer += data

    def next(self) -> bytes | None:
        """The next line without its CRLF, or None when more octets are needed.

        Raises LineTooLong and BareLineEnd; call again to go on behind the fault. A client that
        ends its lines with a bare LF gets one BareLineEnd for each of them, not silence.
        """
        while True:
            end = self._buffer.find(b"\n", self._searched)
            if not self._refused and (len(self._buffer) if end < 0 else end) >= self.limit:
                self._refused = True
                raise LineTooLong(bytes(self._buffer[:4]), self.limit)
            if end < 0:
                if self._refused:
                    del self._buffer[:-1]  # the last octet may be the CR of the CRLF
                self._searched = len(self._buffer)
                return None
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._searched = 0
            if not line.endswith(b"\r"):
                self._refused = True
                raise BareLineEnd(line)
            if self._refused:
                self._refused = False
                continue
            line = line[:-1]
            if b"\r" in line or b"\0" in line:
                raise BareLineEnd(line)
            return line

    def take_rest(self) -> bytes:
        """Everything buffered, handed over to another reader (DATA, BDAT) or to be looked at.

        After a refused line this is the rest of that line too, so call it after a good one.
        """
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._searched = 0
        return rest
