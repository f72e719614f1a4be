"""How long a client may take, in each phase of its connection, and what it is told then.

Time is earned by something whole: a command, a piece of content worth the name. Octets that drip
in one by one earn nothing. A client that has neither logged in nor had a sender accepted is a
newcomer, and a newcomer may not stay for long, however busy it looks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime

from m365gw.config.settings import Limits
from m365gw.edge import answers
from m365gw.edge.deadline import Deadline
from m365gw.smtp.replies import Reply

LEAST_PIECE: Final = 1024  # octets of content that earn another data_timeout
FAREWELL_SECONDS: Final = 10.0  # for the peer to take the last reply and close
NEWCOMER_COMMANDS: Final = 4  # command timeouts a newcomer may stay: EHLO, STARTTLS, EHLO, AUTH


class Timeouts:
    """The deadline of one connection.

    `expired` is called with the farewell to say, or with None when nothing can be said: then the
    connection is to be aborted.
    """

    def __init__(
        self, limits: Limits, clock: IReactorTime, expired: Callable[[Reply | None], object]
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._deadline = Deadline(clock, lambda: expired(self._farewell))
        self._farewell: Reply | None = None
        self._piece = 0  # octets of content since the deadline was last moved
        self._newcomer_until = clock.seconds() + NEWCOMER_COMMANDS * limits.command_timeout

    def await_command(self, *, is_newcomer: bool) -> None:
        """The next line is the client's to send."""
        self._wait(self._limits.command_timeout, answers.SLOW_COMMAND, is_newcomer)

    def await_content(self, octets: int = 0, *, is_newcomer: bool) -> None:
        """Content is the client's to send, and so many octets of it have just come."""
        self._piece += octets
        if self._piece >= LEAST_PIECE or not octets:
            self._piece = 0
            self._wait(self._limits.data_timeout, answers.SLOW_CONTENT, is_newcomer)

    def await_handshake(self) -> None:
        """TLS has to stand by then."""
        self._farewell = None
        self._deadline.set(self._limits.tls_timeout)

    def await_farewell(self) -> None:
        """The last reply was written; the peer has to take it."""
        self._farewell = None
        self._deadline.set(FAREWELL_SECONDS)

    def wait_for_us(self) -> None:
        """We are at work: no time of the client's passes."""
        self._deadline.clear()

    def stop(self) -> None:
        """The connection is closed."""
        self._deadline.stop()

    def _wait(self, seconds: float, farewell: Reply, is_newcomer: bool) -> None:
        if is_newcomer:
            left = self._newcomer_until - self._clock.seconds()
            if left < seconds:
                seconds, farewell = max(left, 0.0), answers.STAYED_TOO_LONG
        self._farewell = farewell
        self._deadline.set(seconds)
