"""The ordered pump: octets in, one question at a time, answers out in order.

Whatever a client pipelines, one command is asked, answered and only then the next is looked at:
order is a property of the loop, not of care. While an answer is waited for, what arrives is
buffered up to a bound, then the transport stops reading. Replies are gathered and written once
the loop stops. A peer that does not read its replies is not read from either.

The pump knows octets, TLS and time. What is said is up to the session (`Speaker`), made anew when
TLS begins, so that nothing said in the clear is remembered (RFC 3207 4.2). Anything buffered when
TLS begins closes the connection: it may be an attacker's.

Failures: an exception in any answer becomes 451 4.3.0 and is logged; a deadline that passes, 421
4.4.2; a TLS handshake that takes too long or a peer that does not take the last reply, an abort.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from attrs import frozen
from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLServerConnectionCreator,
    IReactorTime,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from m365gw.config.settings import Limits
from m365gw.edge import answers
from m365gw.edge.deadline import Deadline
from m365gw.edge.flow import Flow
from m365gw.edge.speaker import Answer, Reading, Speaker
from m365gw.smtp.lines import LineReader
from m365gw.smtp.replies import Refused, Reply, render

MOST_BUFFERED: Final = 65536  # octets that wait while we work, before reading stops
LEAST_PIECE: Final = 1024  # octets of content that earn another data_timeout
FAREWELL_SECONDS: Final = 10.0  # for the peer to take the last reply and close
LAST_CODES: Final = frozenset({221, 421, 521})  # after these we close

BROKEN: Final = "A command failed in a way that is not foreseen; its client may try again"

_log = Logger()
_rendered = lru_cache(maxsize=256)(render)


@frozen
class Surroundings:
    """What a pump needs beside its transport."""

    speaker: Callable[[Pump], Speaker]
    limits: Limits
    clock: IReactorTime
    is_implicit_tls: bool
    certificate: IOpenSSLServerConnectionCreator | None
    closed: Callable[[Pump], object]


@implementer(IHandshakeListener)
class Pump(protocol.Protocol):
    """One connection of a client."""

    transport: Any  # a stream transport: TCP, TLS over it, or a Unix socket

    def __init__(self, surroundings: Surroundings) -> None:
        self._with = surroundings
        self._limits = surroundings.limits
        self._lines = LineReader(self._limits.line_length_limit)
        self._deadline = Deadline(surroundings.clock, self._expired)
        self._speaker: Speaker | None = None  # none before TLS that comes first
        self._flow: Flow  # made with the speaker
        self._reading: Reading | None = None
        self._piece = 0  # octets of content since the deadline was last moved
        self._replies: list[bytes] = []
        self._is_turning = False
        self._is_waiting = False  # for an answer
        self._is_encrypting = False  # a TLS handshake is under way
        self._is_draining = False
        self._is_last = False  # the next reply is the last
        self._is_first = True  # nothing was received yet
        self.is_secure = False
        self.is_over = False  # nothing more can be said to the client

    # What the session may ask for while it answers

    @property
    def buffered(self) -> int:
        """Octets received behind the command being answered."""
        return self._lines.buffered

    def limit_lines(self, octets: int) -> None:
        """From now on a command line may have so many octets."""
        self._lines.limit = octets

    def receive(self, reading: Reading) -> None:
        """After this answer read content, until the reader has its end."""
        self._reading = reading
        self._piece = 0

    def last_reply(self) -> None:
        """Close the connection after this answer."""
        self._is_last = True

    def encrypt(self) -> None:
        """Begin TLS after this answer."""
        self._is_encrypting = True

    # What the listener asks for

    def drain(self) -> None:
        """Say 421 and close as soon as no message is in hand."""
        self._is_draining = True
        self._turn()

    def abort(self) -> None:
        """Close now."""
        self.is_over = True
        self.transport.abortConnection()

    # What Twisted calls

    def connectionMade(self) -> None:
        if self._with.is_implicit_tls:
            self._is_encrypting = True
            self._deadline.set(self._limits.tls_timeout)
        else:
            self._begin(greet=True)

    def handshakeCompleted(self) -> None:
        self._is_encrypting = False
        self.is_secure = True
        self._begin(greet=self._with.is_implicit_tls)

    def dataReceived(self, data: bytes) -> None:
        if self.is_over:
            return
        if self._is_first:
            self._is_first = False
            farewell = self._speaker.stranger(data) if self._speaker else None
            if farewell is not None:
                self._say(farewell)
                self._flush()
                return
        self._lines.feed(data)
        self._turn()

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        self.is_over = True
        self._deadline.stop()
        if self._speaker is not None:
            self._speaker.gone()
        self._with.closed(self)

    # The loop

    def _begin(self, *, greet: bool) -> None:
        """Start a session, in the clear or inside TLS."""
        self._speaker = self._with.speaker(self)
        self._flow = Flow(self.transport, self._turn)
        self._deadline.set(self._limits.command_timeout)
        if greet:
            self._ask(self._speaker.greeting)
        self._turn()

    def _turn(self) -> None:
        """Answer what can be answered, write the replies, and see whether to read on."""
        if self._is_turning or self._speaker is None:
            return
        self._is_turning = True
        moved = False
        while self._may_go() and self._step(self._speaker):
            moved = True
        self._is_turning = False
        self._flush()
        if self.is_over:
            return
        if moved and not (self._is_waiting or self._is_encrypting):
            is_content = self._reading is not None
            limits = self._limits
            self._deadline.set(limits.data_timeout if is_content else limits.command_timeout)
        is_full = self._is_waiting and self._lines.buffered > MOST_BUFFERED
        self._flow.regulate(is_full=is_full)

    def _may_go(self) -> bool:
        return not (self._is_waiting or self._flow.is_choked or self.is_over or self._is_encrypting)

    def _step(self, speaker: Speaker) -> bool:
        """Do one thing. False: there is nothing to do before more octets come."""
        reading = self._reading
        if reading is not None:
            return self._read(reading)
        if self._is_draining and speaker.is_idle:
            self._say(answers.STOPPING)
            return True
        try:
            line = self._lines.next()
        except Refused as refused:
            self._say(refused.reply)
            return True
        if line is None:
            return False
        self._ask(speaker.command, line)
        return True

    def _read(self, reading: Reading) -> bool:
        """Hand content to its reader; ask for the answer when it has its end."""
        if not reading.finished:
            octets = self._lines.take_rest()
            if not octets:
                return False
            reading.feed(octets)
            self._piece += len(octets)
            if not reading.finished:
                if self._piece >= LEAST_PIECE:
                    self._piece = 0
                    self._deadline.set(self._limits.data_timeout)
                return False
        self._lines.feed(reading.rest)
        self._reading = None
        self._ask(reading.end)
        return True

    def _ask(self, question: Callable[..., Answer], *arguments: bytes) -> None:
        """Put a question to the session. The loop stands still until it is answered."""
        try:
            answer = question(*arguments)
        except Refused as refused:
            self._say(refused.reply)
        except Exception:
            _log.failure(BROKEN)
            self._say(answers.FAILED)
        else:
            if isinstance(answer, Reply):
                self._say(answer)
            elif answer is not None:
                self._wait(answer)

    def _wait(self, answer: Deferred[Reply]) -> None:
        self._is_waiting = True
        self._deadline.clear()  # the time is ours, not the client's
        answer.addErrback(_reply_to)
        answer.addCallback(self._answered)
        answer.addErrback(lambda failure: _log.failure("An answer was lost", failure))

    def _answered(self, reply: Reply) -> None:
        self._is_waiting = False
        if self.is_over:
            return  # the client has left
        self._deadline.set(self._limits.command_timeout)
        self._say(reply)
        self._turn()

    # Replies

    def _say(self, reply: Reply) -> None:
        self._replies.append(_rendered(reply))
        farewell = self._speaker.consider(reply) if self._speaker is not None else None
        if farewell is not None:
            self._replies.append(_rendered(farewell))
        if farewell is not None or self._is_last or reply.code in LAST_CODES:
            self.is_over = True

    def _flush(self) -> None:
        """Write the replies; then close, or begin TLS, if that is what comes next."""
        if self._replies:
            replies, self._replies = b"".join(self._replies), []
            self._flow.write(replies)
            if self.is_over:
                self._hang_up()
            elif self._is_encrypting:
                self._start_tls()

    def _start_tls(self) -> None:
        """Only reached with nothing buffered, and forgets all that was said before."""
        assert self._speaker is not None
        self._speaker.gone()
        self._speaker = None
        self._deadline.set(self._limits.tls_timeout)
        self._flow.end()
        self.transport.startTLS(self._with.certificate)

    def _hang_up(self) -> None:
        """Close once the peer has taken the replies; a registered producer would prevent that."""
        self._deadline.set(FAREWELL_SECONDS)
        self._flow.end()
        self.transport.loseConnection()

    def _expired(self) -> None:
        if self.is_over or self._is_encrypting:
            self.transport.abortConnection()
            return
        self._say(answers.SLOW_COMMAND if self._reading is None else answers.SLOW_CONTENT)
        self._flush()


def _reply_to(failure: Failure) -> Reply:
    """The reply a failed answer becomes. What is unknown is temporary."""
    if isinstance(failure.value, Refused):
        return failure.value.reply
    _log.failure(BROKEN, failure)
    return answers.FAILED
