"""SMTP replies as values, and the refusals that carry one.

A refusal anywhere in the program is an exception that knows its reply (`Refused`), so that the
session needs no table of errors. What is not a `Refused` is unknown, and unknown is temporary.
"""

from __future__ import annotations

import textwrap
from typing import Final

from attrs import frozen

LINE_LIMIT: Final = 512  # octets of a reply line with its CRLF (RFC 5321 4.5.3.1.5)

_CLEAN = {octet: " " for octet in (*range(0x20), 0x7F) if octet != 0x0A}


@frozen
class Reply:
    """One SMTP reply: a three-digit code, an enhanced status code or "", and text.

    Text may hold several lines separated by a line feed; each becomes one line on the wire.
    RFC 5321 4.2, RFC 3463, RFC 2034 (the status repeats on each line).
    """

    code: int
    status: str
    text: str

    @property
    def is_positive(self) -> bool:
        """2yz or 3yz: it was done, or may go on (RFC 5321 4.2.1)."""
        return 200 <= self.code < 400

    @property
    def is_transient(self) -> bool:
        """4yz: not now."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """5yz: not like this."""
        return self.code >= 500

    def __str__(self) -> str:
        """The reply on one line, as logs and reports show it."""
        words = self.text.replace("\n", " ")
        return f"{self.code} {self.status} {words}" if self.status else f"{self.code} {words}"


class Refused(Exception):
    """A command, a message or a connection that is refused, with the reply that says so."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


def render(reply: Reply) -> bytes:
    """The reply as it goes on the wire: one or more lines, CRLF after each.

    The enhanced status stands on each line if its class is that of the code (RFC 2034 4). Control
    characters become spaces and what is not ASCII becomes "?"; a line that would be longer than
    512 octets continues on the next.
    """
    code, status = reply.code, reply.status
    if not 200 <= code < 600:
        raise ValueError(f"{code} is not a reply code")
    words = f"{status} " if status[:1] == str(code)[0] else ""
    room = LINE_LIMIT - len(f"{code} {words}\r\n")
    if len(reply.text) <= room and reply.text.isascii() and reply.text.isprintable():
        return f"{code} {words}{reply.text}\r\n".encode("ascii")  # as nearly all are
    lines = reply.text.translate(_CLEAN).encode("ascii", "replace").decode("ascii").split("\n")
    if len(reply.text) > room:
        lines = [piece for line in lines for piece in textwrap.wrap(line, room) or [""]]
    before = "".join(f"{code}-{words}{line}\r\n" for line in lines[:-1])
    return f"{before}{code} {words}{lines[-1]}\r\n".encode("ascii")
