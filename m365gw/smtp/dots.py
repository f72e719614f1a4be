"""Transparency for outbound DATA (RFC 5321 4.5.2): the dots we add, as a stream.

Content holds a line that begins with a dot wherever it likes: first of all, or with its CRLF in
one chunk and its dot in the next. A dot missed there lets the content end the message and speak
SMTP behind it, so the last octets given out are always remembered.
"""

from __future__ import annotations


class DotStuffer:
    """Doubles each dot that begins a line. Nothing else is changed, and nothing raises."""

    def __init__(self) -> None:
        self._tail = b"\r\n"  # the last two octets before the next one: that of the DATA command

    def feed(self, data: bytes) -> bytes:
        """These octets of the content as they go on the wire."""
        before = len(self._tail)
        data = self._tail + data
        self._tail = data[-2:]
        return data.replace(b"\r\n.", b"\r\n..")[before:]

    def finish(self) -> bytes:
        """What ends the content: its CRLF, only when it has none of its own, and the final dot."""
        return b".\r\n" if self._tail == b"\r\n" else b"\r\n.\r\n"
