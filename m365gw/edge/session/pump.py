"""The ordered pump: octets in, one question at a time, answers out in order.

Whatever a client pipelines, one command is asked, answered and only then the next is looked at:
order is a property of the loop, not of care. While an answer is waited for, what arrives is
buffered up to a bound, then the transport stops reading. Replies are gathered and written once
the loop stops. A peer that does not read its replies is not read from either.

The pump knows octets, TLS and time. What is said is up to the session (`Speaker`), made anew when
TLS begins, so that nothing said in the clear is remembered (RFC 3207 4.2). Anything buffered when
TLS begins closes the connection: it may be an attacker's.

Failures: a deadline that passes becomes 421 4.4.2; a TLS handshake that takes too long, or a peer
that does not take the last reply, an abort. Questions (`questions`) never fail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import frozen
from twisted.internet import protocol
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLServerConnectionCreator,
    IReactorTime,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from m365gw.config.limits import Limits
from m365gw.edge.session import answers
from m365gw.edge.session.flow import Flow
from m365gw.edge.session.questions import ask, reply_of
from m365gw.edge.session.speaker import Answer, Reading, Speaker
from m365gw.edge.session.timeouts import Timeouts
from m365gw.edge.session.turns import MOST_STEPS, Turns
from m365gw.smtp.lines import LineFault, LineReader
from m365gw.smtp.replies import Reply

MOST_BUFFERED: Final = 65536  # octets that wait while we work, before reading stops
LAST_CODES: Final = frozenset({221, 421, 521})  # after these we close

_log = Logger()


@frozen
class Surroundings:
    """What a pump needs beside its transport."""

    speaker: Callable[[Pump], Speaker]
    limits: Limits
    clock: IReactorTime
    is_implicit_tls: bool
    certificate: IOpenSSLServerConnectionCreator | None
    is_pressed: Callable[[], bool]  # whether its place is wanted by many others
    closed: Callable[[Pump], object]


@implementer(IHandshakeListener)
class Pump(protocol.Protocol):
    """One connection of a client."""

    transport: Any  # a stream transport: TCP, TLS over it, or a Unix socket

    def __init__(self, surroundings: Surroundings) -> None:
        self._with = surroundings
        limits, clock = surroundings.limits, surroundings.clock
        self._lines = LineReader(limits.line_length_limit)
        self._timeouts = Timeouts(limits, clock, self._expired, surroundings.is_pressed)
        self._turns = Turns(clock, self._turn)
        self._speaker: Speaker | None = None  # none before TLS that comes first
        self._flow: Flow  # made with the speaker
        self._reading: Reading | None = None
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
            self._timeouts.await_handshake()
        else:
            self._begin(greet=True)

    def handshakeCompleted(self) -> None:
        self._is_encrypting = False
        self.is_secure = True
        self._begin(greet=self._with.is_implicit_tls)

    def dataReceived(self, data: bytes) -> None:
        if self.is_over:
            if self._speaker is not None:
                self._flow.read_over(len(data))
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
        self._timeouts.stop()
        self._turns.stop()
        if self._speaker is not None:
            self._speaker.gone()
        self._with.closed(self)

    # The loop

    def _begin(self, *, greet: bool) -> None:
        """Start a session, in the clear or inside TLS."""
        self._speaker = self._with.speaker(self)
        self._flow = Flow(self.transport, self._turn)
        self._await_client(self._speaker)
        if greet:
            self._ask(self._speaker.greeting)
        self._turn()

    def _turn(self) -> None:
        """Answer what can be answered, write the replies, and see whether to read on."""
        speaker = self._speaker
        if self._is_turning or speaker is None:
            return
        self._is_turning = True
        moved = False
        for _ in range(MOST_STEPS):
            if not (self._may_go() and self._step(speaker)):
                break
            moved = True
        else:
            self._turns.pass_on()
        self._is_turning = False
        self._flush()
        if self.is_over:
            return
        if moved and not (self._is_waiting or self._is_encrypting):
            self._await_client(speaker)
        is_busy = self._is_waiting or self._turns.is_others
        self._flow.regulate(is_full=is_busy and self._lines.buffered > MOST_BUFFERED)

    def _may_go(self) -> bool:
        return not (
            self._is_waiting
            or self._turns.is_others
            or self._flow.is_choked
            or self.is_over
            or self._is_encrypting
        )

    def _await_client(self, speaker: Speaker) -> None:
        """What comes next is the client's to send, within its time."""
        if self._reading is None:
            self._timeouts.await_command(is_newcomer=speaker.is_newcomer)
        else:
            self._timeouts.await_content(is_newcomer=speaker.is_newcomer)

    def _step(self, speaker: Speaker) -> bool:
        """Do one thing. False: there is nothing to do before more octets come."""
        reading = self._reading
        if reading is not None:
            return self._read(reading, speaker)
        if self._is_draining and speaker.is_idle:
            self._say(answers.STOPPING)
            return True
        try:
            line = self._lines.next()
        except LineFault as fault:
            self._say(speaker.garbled(fault))
            return True
        if line is None:
            return False
        self._ask(speaker.command, line)
        return True

    def _read(self, reading: Reading, speaker: Speaker) -> bool:
        """Hand content to its reader; ask for the answer when it has its end."""
        if not reading.finished:
            octets = self._lines.take_rest()
            if not octets:
                return False
            reading.feed(octets)
            if not reading.finished:
                self._timeouts.await_content(len(octets), is_newcomer=speaker.is_newcomer)
                return False
        self._lines.feed(reading.rest)
        self._reading = None
        self._ask(reading.end)
        return True

    def _ask(self, question: Callable[..., Answer], *arguments: bytes) -> None:
        """Put a question to the session. The loop stands still until it is answered."""
        answer = ask(question, *arguments)
        if isinstance(answer, Reply):
            self._say(answer)
        elif answer is not None:
            self._is_waiting = True
            self._timeouts.wait_for_us()
            answer.addBoth(self._answered)
            answer.addErrback(lambda failure: _log.failure("An answer was lost", failure))

    def _answered(self, result: Reply | Failure) -> None:
        reply = reply_of(result)
        self._is_waiting = False
        if self.is_over or self._speaker is None:
            return  # the client has left
        self._await_client(self._speaker)
        self._say(reply)
        self._turn()

    # Replies

    def _say(self, reply: Reply) -> None:
        self._flow.say(reply)
        farewell = self._speaker.consider(reply) if self._speaker is not None else None
        if farewell is not None:
            self._flow.say(farewell)
        if farewell is not None or self._is_last or reply.code in LAST_CODES:
            self.is_over = True

    def _flush(self) -> None:
        """Write the replies; then close, or begin TLS, if that is what comes next."""
        if self._flow.flush():
            if self.is_over:
                self._hang_up()
            elif self._is_encrypting:
                self._start_tls()

    def _start_tls(self) -> None:
        """Only reached with nothing buffered, and forgets all that was said before."""
        assert self._speaker is not None
        self._speaker.gone()
        self._speaker = None
        self._timeouts.await_handshake()
        self._flow.end()
        self.transport.startTLS(self._with.certificate)

    def _hang_up(self) -> None:
        """Close once the peer has taken the replies."""
        self._timeouts.await_farewell()
        self._flow.close()

    def _expired(self, farewell: Reply | None) -> None:
        """The time is up. Nothing can be said in a handshake, nor after the last reply."""
        if farewell is None:
            self.transport.abortConnection()
        else:
            self._say(farewell)
            self._flush()
