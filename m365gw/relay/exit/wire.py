"""The wire to a submission host: octets out, whole replies in, each wait with its own limit.

Everything above it is written as coroutines that ask `await wire.reply(seconds)`; this is the one
place where Twisted's callbacks turn into that. One coroutine at a time uses a wire.

Failures: `Lost`, in words, from whoever waits: closed by the other side, silent for too long, a
certificate that does not verify, or something that is not SMTP. Replies that came before the end
are still given out first. A wire that was lost stays lost; writing to it does nothing.

Secrets: what is sent with `shown=` appears in the trace as those words. While a secret is set with
`hide`, no reply leaves here that repeats a piece of it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Any, Final
from typing import Protocol as Interface

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from m365gw.relay.exit.lost import Lost, cause
from m365gw.smtp.replies import Reply
from m365gw.smtp.reply_reader import ReplyError, ReplyReader

CLOSING_TIMEOUT: Final = 10.0  # seconds

_RUN = re.compile(r"[A-Za-z0-9+/=._-]{16,}")  # what could be a piece of a token


class Trace(Interface):
    """Gets each line sent, "C: ...", and each reply, "S: ...", while it is on."""

    @property
    def is_on(self) -> bool: ...

    def __call__(self, line: str) -> None: ...

    def over(self) -> None: ...


@implementer(IPushProducer, IHandshakeListener)
class Wire(Protocol):
    """One TCP connection as a client sees it."""

    transport: Any = None  # TCP, then TLS over it: they share no interface that has all we use

    def __init__(self, clock: IReactorTime, trace: Trace | None = None) -> None:
        self._clock = clock
        self._since = clock.seconds()
        self.lost = ""  # why the connection is gone; "" while it stands
        self.is_secure = False
        self.peer = ""  # the other side: "[192.0.2.1]:587"
        self._trace = trace
        self._reader = ReplyReader()
        self._replies: deque[Reply] = deque()
        self._waiting: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._seconds = 0.0  # how long the timer was set to
        self._is_full = False
        self._secret = ""
        self._when_idle: Callable[[], object] | None = None
        self._when_lost: Callable[[], object] | None = None

    # -- what the coroutines use

    @property
    def has_unread(self) -> bool:
        """Whether a reply, or the beginning of one, is there that nobody has asked for yet."""
        return bool(self._replies) or self._reader.pending

    @property
    def age(self) -> float:
        """Seconds since the connection was made."""
        return self._clock.seconds() - self._since

    def write(self, octets: bytes, shown: str = "") -> None:
        """Send octets. `shown` is what the trace says instead of them."""
        self._when_idle = None
        if self._trace is not None and self._trace.is_on:
            text = shown or octets.decode("utf-8", "replace")
            for line in text.removesuffix("\r\n").split("\r\n"):
                self._trace(f"C: {line}")
        if self.connected and not self.lost:
            self.transport.write(octets)

    async def reply(self, seconds: float) -> Reply:
        """The next reply. Raises `Lost`, also when none has come within so many seconds."""
        while not self._replies:
            await self._event(seconds)
        return self._replies.popleft()

    async def drained(self, seconds: float) -> None:
        """Wait until there is room to write more, or until a reply is there. Raises `Lost`."""
        while self._is_full and not self._replies:
            await self._event(seconds)
        if self.lost and not self._replies:
            raise Lost(self.lost)

    def start_stream(self) -> None:
        """From now on `drained` tells when to go on writing."""
        if self.connected and not self.lost:
            self.transport.registerProducer(self, True)

    def end_stream(self) -> None:
        """The last octets of the stream were written."""
        self._is_full = False
        if self.connected and not self.lost:
            self.transport.unregisterProducer()

    async def secure(self, options: IOpenSSLClientConnectionCreator, seconds: float) -> None:
        """Do the TLS handshake, with verification as `options` say. Raises `Lost`.

        Whatever came in clear after the reply that allowed it is an attack or a broken server
        (response injection): the connection ends.
        """
        if self.has_unread:
            self.abort("the server sent more before the TLS handshake than its answer")
        if self.lost:
            raise Lost(self.lost)
        self._reader = ReplyReader()
        self.transport.startTLS(options)
        while not self.is_secure:
            await self._event(seconds)

    def hide(self, *secrets: str) -> None:
        """Blank these out of replies from now on, should the server repeat them; none: no more."""
        self._secret = "\n".join(secrets)

    def rest(self, seconds: float, then: Callable[[], object]) -> None:
        """Nobody waits. Call `then` when that lasts for so many seconds."""
        self._when_idle = then
        self._limit(seconds)

    def on_lost(self, then: Callable[[], object]) -> None:
        """Call `then` when the connection has ended; at once when it already has."""
        if not self.connected:
            then()
        else:
            self._when_lost = then

    def hang_up(self) -> None:
        """Close in good order: what was written still goes out.

        A peer that never ends its side of TLS is cut off after a while.
        """
        self.lost = self.lost or "closed by us"
        if self.connected:
            self.transport.loseConnection()
        if self.connected:  # still: it waits for the other side
            self.rest(CLOSING_TIMEOUT, lambda: self.abort(self.lost))

    def abort(self, why: str) -> None:
        """Close at once, whatever is under way."""
        self.lost = self.lost or why
        if self.connected:
            self.transport.abortConnection()
        self._wake()

    # -- what Twisted calls

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            # Small writes with a wait after each: Nagle's algorithm would add its delay to all.
            self.transport.setTcpNoDelay(True)
        address = self.transport.getPeer()
        self.peer = f"[{getattr(address, 'host', '')}]:{getattr(address, 'port', 0)}"

    def dataReceived(self, data: bytes) -> None:
        try:
            replies = self._reader.feed(data)
        except ReplyError as fault:
            replies = list(fault.replies)
            self.lost = self.lost or self._without_secret(str(fault))
        if self._secret:
            replies = [Reply(r.code, r.status, self._without_secret(r.text)) for r in replies]
        for reply in replies:
            if self._trace is not None and self._trace.is_on:
                self._trace(f"S: {reply}")
            self._replies.append(reply)
        if self.lost:
            self.abort(self.lost)
        elif replies:
            self._wake()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.connected = 0
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self.lost = self.lost or cause(reason.value or error.ConnectionDone())
        self._wake()
        if self._trace is not None:
            self._trace.over()
        if self._when_lost is not None:
            self._when_lost()

    def handshakeCompleted(self) -> None:
        self.is_secure = True
        self._wake()

    def pauseProducing(self) -> None:
        self._is_full = True

    def resumeProducing(self) -> None:
        self._is_full = False
        self._wake()

    def stopProducing(self) -> None:
        self._is_full = False

    # -- inside

    async def _event(self, seconds: float) -> None:
        """Wait for anything to happen; the caller looks whether it is what it waits for."""
        if self.lost:
            raise Lost(self.lost)
        self._when_idle = None
        self._limit(seconds)
        self._waiting = Deferred()
        try:
            await self._waiting
        finally:
            self._waiting = None
        if self.lost and not self._replies:
            raise Lost(self.lost)

    def _limit(self, seconds: float) -> None:
        """Set the one timer; a set timer is moved, which costs next to nothing."""
        self._seconds = seconds
        if self._timer is not None and self._timer.active():
            self._timer.reset(seconds)
        else:
            self._timer = self._clock.callLater(seconds, self._expired)

    def _expired(self) -> None:
        if self._waiting is not None:
            self.abort(f"no answer within {self._seconds:g} seconds")
        elif self._when_idle is not None:
            self._when_idle()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def _without_secret(self, text: str) -> str:
        def blanked(match: re.Match[str]) -> str:
            run = match[0]
            pieces = (run[start : start + 16] for start in range(len(run) - 15))
            return "[hidden]" if any(piece in self._secret for piece in pieces) else run

        return _RUN.sub(blanked, text) if self._secret else text
