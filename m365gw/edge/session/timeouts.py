"""How long a client may take, in each phase of its connection, and what it is told then.

Time is earned by something whole: a command, or octets of content at the least rate they may have.
What drips in one by one earns next to nothing. A client that has neither logged in nor had a sender
accepted is a newcomer, and a newcomer may not stay for long, however busy it looks. While places
are scarce a newcomer has less time for everything, also for what it has begun before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime

from m365gw.config.limits import Limits
from m365gw.edge.session import answers
from m365gw.edge.session.deadline import Deadline
from m365gw.smtp.replies import Reply

FAREWELL_SECONDS: Final = 10.0  # for the peer to take the last reply and close
NEWCOMER_COMMANDS: Final = 4  # command timeouts a newcomer may stay: EHLO, STARTTLS, EHLO, AUTH


class Timeouts:
    """The deadline of one connection.

    `expired` is called with the farewell to say, or with None when nothing can be said: then the
    connection is to be aborted. `is_pressed` says whether places are scarce.
    """

    def __init__(
        self,
        limits: Limits,
        clock: IReactorTime,
        expired: Callable[[Reply | None], object],
        is_pressed: Callable[[], bool],
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._expired = expired
        self._is_pressed = is_pressed
        self._deadline = Deadline(clock, self._look)
        self._came_at = clock.seconds()
        self._is_newcomer = True
        # Of the present wait
        self._began_at = 0.0
        self._seconds = 0.0
        self._farewell: Reply | None = None
        self._content_until = 0.0

    def await_command(self, *, is_newcomer: bool) -> None:
        """The next line is the client's to send."""
        self._wait(self._limits.command_timeout, answers.SLOW_COMMAND, is_newcomer)

    def await_content(self, octets: int = 0, *, is_newcomer: bool) -> None:
        """Content is the client's to send, and so many octets of it have just come."""
        now, seconds = self._clock.seconds(), self._limits.data_timeout
        if octets:
            earned = octets / self._limits.minimal_data_rate
            seconds = min(seconds, self._content_until - now + earned)
        self._content_until = now + seconds
        self._wait(seconds, answers.SLOW_CONTENT, is_newcomer)

    def await_handshake(self) -> None:
        """TLS has to stand by then."""
        self._wait(self._limits.tls_timeout, None, is_newcomer=True)

    def await_farewell(self) -> None:
        """The last reply was written; the peer has to take it."""
        self._wait(FAREWELL_SECONDS, None, is_newcomer=False)

    def wait_for_us(self) -> None:
        """We are at work: no time of the client's passes."""
        self._deadline.clear()

    def stop(self) -> None:
        """The connection is closed."""
        self._deadline.stop()

    def _wait(self, seconds: float, farewell: Reply | None, is_newcomer: bool) -> None:
        self._farewell = farewell
        self._is_newcomer = is_newcomer
        if not is_newcomer:
            self._deadline.set(seconds)
            return
        self._seconds, self._began_at = seconds, self._clock.seconds()
        self._deadline.set(self._slice())

    def _look(self) -> None:
        """The deadline has come; for a newcomer it may have been set only to look again."""
        if self._is_newcomer:
            left = self._slice()
            if left > 0:
                self._deadline.set(left)
                return
        self._expired(self._farewell)

    def _slice(self) -> float:
        """Seconds until a newcomer is looked at again; 0 when its time is up, and why is noted."""
        limits, now = self._limits, self._clock.seconds()
        seconds, command = self._seconds, limits.command_timeout
        if self._is_pressed():
            seconds, command = min(seconds, limits.stress_timeout), limits.stress_timeout
        left = self._began_at + seconds - now
        left_to_stay = self._came_at + NEWCOMER_COMMANDS * command - now
        if left_to_stay <= 0 < left and self._farewell is not None:
            self._farewell = answers.STAYED_TOO_LONG
        return max(0.0, min(left, left_to_stay, limits.stress_timeout))
