"""HTTP as the API takes it: requests with a bounded body, from a caller that is known.

A body beyond the bound is not kept, and answered with 413 at its end; one that goes far beyond it
is cut off. A connection on which nothing moves is closed after a minute, so a client that is slow
or stuck costs a file descriptor for that long, and nothing else.
"""

from __future__ import annotations

import io
from typing import Any, Final

from attrs import frozen
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from m365gw.directory.operators import Role

MOST_BODY: Final = 65536  # octets
CUT_OFF: Final = 16 * MOST_BODY
IDLE_SECONDS: Final = 60


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


def site(resource: Resource, reactor: Any) -> Site:
    """The factory of HTTP connections for a listener; it logs nothing by itself."""
    return _Quiet(  # type: ignore[no-untyped-call]  # Twisted has no types here
        resource, requestFactory=ApiRequest, timeout=IDLE_SECONDS, reactor=reactor
    )


class _Quiet(Site):
    """Writes no access log: the API has its own."""

    noisy = False

    def log(self, request: object) -> None:
        """Nothing."""
