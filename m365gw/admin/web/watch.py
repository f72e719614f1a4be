"""What programs look at to see how the gateway does: /livez, /readyz and /metrics.

They are asked every few seconds, so they cost little and are not logged. The first two are answered
to whoever can reach the port, under whatever name of the host: they say nothing about anybody.
/metrics has addresses of mailboxes in it. It is given to the networks of `metrics_from`, and to who
has a token. A page of another site could make a browser in such a network ask for it under a name
of its own (DNS rebinding), so without a token the host must be ours, an IP address, or a name
without a dot.

Failures: `Refusal` 401 or 403, in words.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.arrival import Arrivals
from m365gw.admin.web.bearers import Bearers
from m365gw.admin.web.request import WebRequest
from m365gw.edge.admission.admission import IpAddress, ip_network

Read = Callable[[str], Awaitable[tuple[bytes, str]]]  # by what the scraper takes: octets, type

_TEXT: Final = b"text/plain; charset=utf-8"
_PLAIN_HOST: Final = re.compile(r"\[[0-9A-Fa-f:.]+\](:\d+)?|[0-9.]+(:\d+)?|[0-9A-Za-z_-]+(:\d+)?")

_diagnostics = Logger()


class Probe(Resource):
    """200 when nothing is wrong, 503 with what is."""

    isLeaf = True

    def __init__(self, good: str, faults: Callable[[], Sequence[str]] = lambda: ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no types here
        self._good = good
        self._faults = faults

    def render_GET(self, request: Any) -> bytes:
        faults = self._faults()
        request.setResponseCode(503 if faults else 200)
        request.responseHeaders.setRawHeaders(b"content-type", [_TEXT])
        return "\n".join(faults or [self._good]).encode() + b"\n"


class Scrape(Resource):
    """Gives out metrics. `read` reads and writes them; `networks` may have them without a token."""

    isLeaf = True

    def __init__(self, read: Read, bearers: Bearers, arrivals: Callable[[], Arrivals]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no types here
        self._read = read
        self._bearers = bearers
        self._arrivals = arrivals
        self.configure(())

    def configure(self, networks: Sequence[str]) -> None:
        """From now on these networks may have them."""
        self._networks = [ip_network(each) for each in networks]

    def render_GET(self, request: Any) -> Any:
        answering = Deferred.fromCoroutine(self._answer(request))
        answering.addErrback(lambda fault: _diagnostics.failure("/metrics", failure=fault))
        return NOT_DONE_YET

    async def _answer(self, request: WebRequest) -> None:
        kind: str | bytes = _TEXT
        try:
            await self._judge(request)
            octets, kind = await self._read(request.header(b"accept"))
        except Refusal as refusal:
            request.setResponseCode(refusal.status)
            words = (refusal.what, refusal.why, refusal.fix)
            octets = "\n".join(filter(None, words)).encode() + b"\n"
        except Exception:
            _diagnostics.failure("/metrics failed")
            request.setResponseCode(500)
            octets = b"This failed inside the gateway; its log says where.\n"
        if not request.has_left:
            request.responseHeaders.setRawHeaders(b"content-type", [kind])
            request.write(octets)  # type: ignore[no-untyped-call]  # Twisted's
            request.finish()  # type: ignore[no-untyped-call]  # Twisted's

    async def _judge(self, request: WebRequest) -> None:
        """Whether it may have them. Raises `Refusal`."""
        arrivals = self._arrivals()
        address, _ = arrivals.client_of(request, is_tls=request.is_tls)
        if request.header(b"authorization"):
            arrivals.refuse_in_the_clear(request, is_tls=request.is_tls)
            await self._bearers.caller(request, address)
        elif not self._is_in_network(address):
            raise Refusal(
                403,
                "Metrics are not given to everybody.",
                f"You come from {address or 'a socket'}.",
                "Name its network in metrics_from of [web], or send a token:"
                ' "Authorization: Bearer ..." (m365gw token add NAME).',
            )
        elif not _PLAIN_HOST.fullmatch(request.header(b"host")):
            arrivals.judge(request, is_tls=True)

    def _is_in_network(self, address: IpAddress | None) -> bool:
        return address is not None and any(address in each for each in self._networks)
