"""How the pretend Exchange reads octets: command lines, DATA content, BDAT chunks.

Written for this room alone. Lines end with CRLF and nothing else; content ends with
CRLF "." CRLF and nothing else. Content is read by whole pieces, never by lines.
"""

from __future__ import annotations

from collections.abc import Iterator

END = b"\r\n.\r\n"


class LineTooLong(Exception):
    """A line goes on beyond what is allowed."""


def take_line(buffer: bytearray, limit: int) -> bytes | None:
    """Takes one line (without CRLF) from the front of a buffer; None when it is not there yet.

    `limit` counts the CRLF. LineTooLong: the line cannot be one; the buffer is left as it is.
    """
    end = buffer.find(b"\r\n", 0, limit)
    if end < 0:
        if len(buffer) >= limit:
            raise LineTooLong
        return None
    line = bytes(buffer[:end])
    del buffer[: end + 2]
    return line


class DotContent:
    """The content after DATA. Above `limit` octets it is read to its end, but not kept."""

    def __init__(self, limit: int) -> None:
        # The CRLF of the DATA line belongs to the pattern of an end at once, and to the
        # pattern of a dot at the start of the first line.
        self._octets = bytearray(b"\r\n")
        self._limit = limit
        self.arrived = 0
        self.too_large = False

    def feed(self, data: bytes) -> bytes | None:
        """Takes octets. When the content has ended: what came behind it; else None."""
        octets = self._octets
        start = max(0, len(octets) - len(END) + 1)
        octets += data
        self.arrived += len(data)
        end = octets.find(END, start)
        if end < 0:
            if self.arrived > self._limit:
                self.too_large = True
                del octets[: -len(END)]
            return None
        rest = bytes(octets[end + len(END) :])
        self.arrived -= len(rest)
        del octets[end + 2 :]
        return rest

    def octets(self) -> bytes:
        """The finished content with the first dot of each line that has one taken away."""
        return bytes(self._octets.replace(b"\r\n.", b"\r\n")[2:])


class ChunkContent:
    """The content of a series of BDAT chunks (RFC 3030)."""

    def __init__(self, limit: int) -> None:
        self._octets = bytearray()
        self._limit = limit
        self._missing = 0
        self.arrived = 0
        self.too_large = False

    def begin(self, size: int) -> None:
        """A chunk of `size` octets follows."""
        self._missing = size

    def feed(self, data: bytes) -> bytes | None:
        """Takes octets. When the chunk has ended: what came behind it; else None."""
        mine = data[: self._missing]
        self._missing -= len(mine)
        self.arrived += len(mine)
        if self.arrived > self._limit:
            self.too_large = True
            self._octets.clear()
        else:
            self._octets += mine
        return None if self._missing else data[len(mine) :]

    def octets(self) -> bytes:
        """The content so far."""
        return bytes(self._octets)


def has_bare_line_end(content: bytes) -> bool:
    """Whether a CR or an LF stands alone."""
    pairs = content.count(b"\r\n")
    return content.count(b"\n") != pairs or content.count(b"\r") != pairs


def header_fields(content: bytes) -> Iterator[tuple[str, str]]:
    """The fields of the header section: name in lower case and unfolded value, in order."""
    if content.startswith(b"\r\n"):
        return
    header = content.partition(b"\r\n\r\n")[0]
    unfolded = header.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    for line in unfolded.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon and name and b" " not in name.rstrip(b" "):
            yield name.decode("latin-1").strip().lower(), value.decode("utf-8", "replace").strip()
