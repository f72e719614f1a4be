"""HTTP as the API takes it: requests with a bounded body, from a caller that is known.

A body beyond the bound is not kept, and answered with 413 at its end; one that goes far beyond it
is cut off. A connection on which nothing moves is closed after a minute, and a listener has
`MOST_CONNECTIONS` at a time, so whatever clients do here, files are left for those who send mail.
"""

from __future__ import annotations

import io
from typing import Any, Final

from attrs import frozen
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from m365gw.directory.operators import Role

MOST_BODY: Final = 65536  # octets
CUT_OFF: Final = 16 * MOST_BODY
IDLE_SECONDS: Final = 60
MOST_CONNECTIONS: Final = 200  # at a time, to one listener; more are closed at once

_diagnostics = Logger()


@frozen
class Caller:
    """Who asks, as the log names it, and whether he may change anything or only read."""

    name: str
    role: Role = "operator"


class ApiRequest(Request):
    """A request to the API. `caller` is set by the listener it came to."""

    caller: Caller
    content: io.BytesIO
    received = 0  # octets of the body, kept or not
    has_left = False

    def connectionLost(self, reason: Any) -> None:
        self.has_left = True
        super().connectionLost(reason)  # type: ignore[no-untyped-call]  # Twisted's

    def gotLength(self, length: int | None) -> None:
        self.content = io.BytesIO()  # Twisted's own would be a file for the large

    def handleContentChunk(self, data: bytes) -> None:
        self.received += len(data)
        if self.received <= MOST_BODY:
            self.content.write(data)
        elif self.received > CUT_OFF:
            self.channel.forceAbortClient()  # type: ignore[no-untyped-call]  # Twisted's

    @property
    def is_too_long(self) -> bool:
        """Whether the body was not kept, as it was longer than any that makes sense."""
        return self.received > MOST_BODY


def site(resource: Resource, reactor: Any, requests: type[ApiRequest] = ApiRequest) -> Site:
    """The factory of HTTP connections for a listener."""
    return _Bounded(  # type: ignore[no-untyped-call]  # Twisted has no types here
        resource, requestFactory=requests, timeout=IDLE_SECONDS, reactor=reactor
    )


class _Bounded(Site):
    """Takes so many connections at a time. No access log: what matters is logged elsewhere."""

    noisy = False
    _connections = 0
    _is_full = False

    def buildProtocol(self, addr: Any) -> Any:
        if self._connections >= MOST_CONNECTIONS:
            if not self._is_full:
                words = "{n} HTTP connections are open at once, and more are closed"
                _diagnostics.warn(words, n=MOST_CONNECTIONS)
            self._is_full = True
            return None
        self._is_full = False
        self._connections += 1
        protocol: Any = super().buildProtocol(addr)  # type: ignore[no-untyped-call]
        ended = protocol.connectionLost

        def connection_lost(reason: Any) -> None:
            self._connections -= 1
            ended(reason)

        protocol.connectionLost = connection_lost
        return protocol

    def log(self, request: object) -> None:
        """Nothing."""
