"""What the pump asks of others: a session that answers, and readers of content.

They are protocols, not base classes: the session never depends on how octets move, nor the pump
on what is said.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred

from m365gw.smtp.lines import LineFault
from m365gw.smtp.replies import Reply

Answer = Reply | Deferred[Reply] | None  # None: the reply comes behind the content that follows


class Reading(Protocol):
    """A reader of content: takes octets until it is finished, then `end` is asked."""

    @property
    def finished(self) -> bool: ...

    @property
    def rest(self) -> bytes: ...

    def feed(self, octets: bytes) -> None: ...

    def end(self) -> Answer: ...


class Speaker(Protocol):
    """Who answers what the pump reads."""

    @property
    def is_idle(self) -> bool:
        """Whether no message is in hand."""

    @property
    def is_newcomer(self) -> bool:
        """Whether the client has neither logged in nor had a sender accepted."""

    def greeting(self) -> Reply: ...

    def stranger(self, octets: bytes) -> Reply | None:
        """The farewell when the first octets show a client that does not speak SMTP."""

    def command(self, line: bytes) -> Answer: ...

    def garbled(self, fault: LineFault) -> Reply:
        """What is said to a line that is none."""

    def consider(self, reply: Reply) -> Reply | None:
        """Told of each reply; a farewell when the client has used up our patience."""

    def gone(self) -> None:
        """The session is over: the connection is closed, or TLS begins."""
