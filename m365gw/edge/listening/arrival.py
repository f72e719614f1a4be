"""Connections of which something has to be seen before there is a session.

The PROXY header of a load balancer comes before everything, TLS included. Where TLS may or may not
come first, the first octet tells. Once that is known, the transport is given its next protocol and
this one is gone: a session reads from the transport directly.

Failures: a balancer that sends no header in time, or none that can be read, is told to the operator
and closed without words. A client that says nothing in time is greeted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet import protocol
from twisted.internet.interfaces import (
    IDelayedCall,
    IOpenSSLServerConnectionCreator,
    IReactorTime,
)
from twisted.python.failure import Failure

from m365gw.smtp.proxy import Header, HeaderReader
from m365gw.smtp.proxy_fields import ProxyFault

_TLS_FIRST: Final = b"\x16"  # type of a handshake record, RFC 8446 5.1; no command begins with it


def become(transport: Any, next_protocol: protocol.Protocol, octets: bytes = b"") -> None:
    """Give a transport its next protocol, and that what was already read for it."""
    transport.protocol = next_protocol
    next_protocol.makeConnection(transport)  # type: ignore[no-untyped-call]  # Twisted has none
    if octets:  # to whom the transport speaks by now: TLS may have come between
        transport.protocol.dataReceived(octets)


class Arrival(protocol.Protocol):
    """A connection that is no session yet, and may not stay so for long."""

    transport: Any

    def __init__(
        self, clock: IReactorTime, seconds: float, closed: Callable[[Arrival], object]
    ) -> None:
        """`closed` is called when it ends before anything came of it."""
        self._clock = clock
        self._seconds = seconds
        self._closed = closed
        self._timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self._timer = self._clock.callLater(self._seconds, self._expired)

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        self._stop_waiting()
        self._closed(self)

    def drain(self) -> None:
        """Nothing is in hand, and nothing can be said."""
        self.abort()

    def abort(self) -> None:
        """Close now."""
        self.transport.abortConnection()

    def _stop_waiting(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _expired(self) -> None:
        raise NotImplementedError


class AwaitHeader(Arrival):
    """Reads the PROXY header, and hands the connection to what `met` makes of it."""

    def __init__(
        self,
        clock: IReactorTime,
        seconds: float,
        closed: Callable[[Arrival], object],
        met: Callable[[AwaitHeader, Header], protocol.Protocol],
        failed: Callable[[str], object],
    ) -> None:
        """`failed` is told what is wrong with the header, in words."""
        super().__init__(clock, seconds, closed)
        self._met = met
        self._failed = failed
        self._reader = HeaderReader()
        self._is_over = False

    def dataReceived(self, data: bytes) -> None:
        if self._is_over:
            return
        try:
            found = self._reader.feed(data)
        except ProxyFault as fault:
            self._give_up(f"its PROXY header cannot be read: {fault}")
            return
        if found is not None:
            self._stop_waiting()
            header, behind = found
            become(self.transport, self._met(self, header), behind)

    def _expired(self) -> None:
        self._give_up(f"no PROXY header came within {self._seconds:g} s")

    def _give_up(self, words: str) -> None:
        self._is_over = True
        self._stop_waiting()
        self._failed(words)
        self.abort()


class AwaitTls(Arrival):
    """Waits a little for TLS to begin, and hands the connection to what `seen` makes of it."""

    def __init__(
        self,
        clock: IReactorTime,
        seconds: float,
        closed: Callable[[Arrival], object],
        seen: Callable[[AwaitTls, bool], protocol.Protocol],
    ) -> None:
        """`seen` is told whether TLS begins."""
        super().__init__(clock, seconds, closed)
        self._seen = seen

    def dataReceived(self, data: bytes) -> None:
        self._stop_waiting()
        become(self.transport, self._seen(self, data.startswith(_TLS_FIRST)), data)

    def _expired(self) -> None:
        become(self.transport, self._seen(self, False))


class BeginTls(protocol.Protocol):
    """Puts TLS between the transport and a protocol that waits for its handshake."""

    transport: Any

    def __init__(
        self, inside: protocol.Protocol, certificate: IOpenSSLServerConnectionCreator
    ) -> None:
        self._inside = inside
        self._certificate = certificate

    def connectionMade(self) -> None:
        become(self.transport, self._inside)
        self.transport.startTLS(self._certificate)
