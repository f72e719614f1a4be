"""A TLS connection to Graph's host, made before anything is asked over it.

The handshake is over and the certificate verified when a `Line` is given out. So whatever fails
until then has certainly sent nothing, and what fails later is the request. It serves one request:
a kept connection that the other side has closed meanwhile cannot be told from one that broke after
the message was taken.

Failures: those of the endpoint, `SSL.Error` and `VerificationError` from `opened`.
"""

from __future__ import annotations

from typing import Any, Final, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from m365gw.relay.exit.dialer import cancellable

CONNECT_TIMEOUT: Final = 30.0  # seconds
HANDSHAKE_TIMEOUT: Final = 60.0


@implementer(IHandshakeListener, IStreamClientEndpoint, IAgentEndpointFactory)
class Line(Protocol):
    """One connection. To Twisted's agent it is the endpoint that leads to Graph, once."""

    transport: Any = None

    def __init__(self) -> None:
        self.peer = ""  # the other side: "[192.0.2.1]:443"
        self.secured: Deferred[None] = Deferred(lambda _: self.abort())
        self._client: Any = None  # the HTTP client, once there is a request

    def connectionMade(self) -> None:
        peer = self.transport.getPeer()
        self.peer = f"[{peer.host}]:{peer.port}"

    def handshakeCompleted(self) -> None:
        if not self.secured.called:
            self.secured.callback(None)

    def dataReceived(self, data: bytes) -> None:
        if self._client is None:
            self.abort()  # an answer that nobody asked for
        else:
            self._client.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.transport = None
        if not self.secured.called:
            self.secured.errback(reason)
        if self._client is not None:
            self._client.connectionLost(reason)

    def endpointForURI(self, uri: object) -> Line:
        """The agent asks how to get there: over this."""
        return self

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """The agent's HTTP client takes the connection over."""
        self._client = protocolFactory.buildProtocol(self.transport.getPeer())
        self._client.makeConnection(self.transport)
        return succeed(self._client)

    def abort(self) -> None:
        """Close at once. Harmless when closed already."""
        if self.transport is not None:
            self.transport.abortConnection()


async def opened(
    reactor: Any, host: str, port: int, options: IOpenSSLClientConnectionCreator
) -> Line:
    """A line to this host, whose certificate `options` have verified."""
    factory = Factory.forProtocol(Line)
    factory.noisy = False
    tcp = HostnameEndpoint(reactor, host, port, timeout=CONNECT_TIMEOUT)
    line = cast(Line, await cancellable(wrapClientTLS(options, tcp).connect(factory)))
    try:
        await line.secured.addTimeout(HANDSHAKE_TIMEOUT, reactor)
    except BaseException:
        line.abort()
        raise
    return line
