"""A submission host played by a test, over a transport in memory."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from m365gw.relay.exit.wire import Wire

T = TypeVar("T")


class Outcomes:
    """What a coroutine came to: `value`, `problem`, or neither while it waits."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.value: Any = None
        self.problem: BaseException | None = None
        self.deferred = Deferred.fromCoroutine(coroutine)
        self.deferred.addCallbacks(self._take, self._fail)

    @property
    def is_done(self) -> bool:
        return self.value is not None or self.problem is not None

    def _take(self, value: Any) -> None:
        self.value = value if value is not None else True

    def _fail(self, failure: Failure) -> None:
        self.problem = failure.value


class MemoryTransport(StringTransport):
    """A transport that closes when asked to, and takes a TLS handshake as done at once."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self.wire = wire
        self.writes: list[bytes] = []
        self.tls_options: Any = None
        self.ending = ""

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        super().write(data)

    def startTLS(self, options: Any) -> None:
        self.tls_options = options
        self.wire.handshakeCompleted()

    def loseConnection(self) -> None:
        self.end("closed", ConnectionDone())

    def abortConnection(self) -> None:
        self.end("aborted", ConnectionAborted())

    def end(self, how: str, reason: Exception) -> None:
        if not self.ending:
            self.ending = how
            self.wire.connectionLost(Failure(reason))


class Trace(list[str]):
    """All that a wire shows."""

    is_on = True

    def __call__(self, line: str) -> None:
        self.append(line)

    def over(self) -> None:
        """The connection has ended."""


class Peer:
    """The other end of one wire: says replies, sees what was sent."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.trace = Trace()
        self.wire = Wire(self.clock, self.trace)
        self.transport = MemoryTransport(self.wire)
        self.wire.makeConnection(self.transport)

    def say(self, *lines: str) -> None:
        """These lines arrive, in one piece."""
        self.wire.dataReceived("".join(f"{line}\r\n" for line in lines).encode())

    def heard(self) -> bytes:
        """What was sent since this was asked last."""
        octets = self.transport.value()
        self.transport.clear()
        return octets

    def hang_up(self) -> None:
        """The peer closes the connection."""
        self.transport.end("by peer", ConnectionDone())
