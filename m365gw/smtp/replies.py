"""SMTP replies as values, and the refusals that carry one.

A refusal anywhere in the program is an exception that knows its reply (`Refused`), so that the
session needs no table of errors. What is not a `Refused` is unknown, and unknown is temporary.
"""

from __future__ import annotations

from attrs import frozen


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
        return 200 <= self.code < 400

    @property
    def is_transient(self) -> bool:
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
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
