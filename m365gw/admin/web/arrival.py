"""From where a request comes, and for whom it is: decided before anything else looks at it.

What a client says of itself counts for nothing: forwarded headers are read only when the connection
is from a trusted proxy, and the host a request names must be one of ours, so that no page of
another site can reach the console under a name of its own (DNS rebinding), and no link it makes
leads elsewhere.

Failures: `Refusal` 400 for a host that is missing or given twice, 421 for one that is not ours, and
403 for who comes in the clear past the proxy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import frozen

from m365gw.admin.refusal import Refusal
from m365gw.config.checks.listeners import UNIX
from m365gw.config.web import Web
from m365gw.edge.admission.admission import IpAddress, ip_address, ip_network

LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z._-]{1,253})(?::([0-9]{1,5}))?")


@frozen
class Arrival:
    """One request as far as its way tells: who sent it, for which host, and over what."""

    address: IpAddress | None  # of the client; None: it came by a UNIX socket
    is_https: bool
    host: str  # with its port, where the request names one
    is_public: bool  # whether the host is that of public_url

    @property
    def origin(self) -> str:
        """What a browser calls a page of this host."""
        return f"{'https' if self.is_https else 'http'}://{self.host}"

    @property
    def place(self) -> str:
        """Where the client is, for people."""
        return str(self.address or "this machine")


class Arrivals:
    """Judges where requests come from, by the settings of the console."""

    def __init__(self, web: Web) -> None:
        self._public = _host_of(web.public_url)
        self._believes_unix = UNIX in web.trusted_proxies
        self._proxies = [ip_network(each) for each in web.trusted_proxies if each != UNIX]

    def judge(self, request: Any, *, is_tls: bool) -> Arrival:
        """The arrival of a twisted.web request. Raises `Refusal`."""
        address, is_https = self.client_of(request, is_tls=is_tls)
        self.refuse_in_the_clear(request, is_tls=is_tls)
        host = self._host(request.requestHeaders, is_https)
        return Arrival(address, is_https, host, host == self._public)

    def client_of(self, request: Any, *, is_tls: bool) -> tuple[IpAddress | None, bool]:
        """The address of the client, and whether it speaks https."""
        peer, headers = _peer(request), request.requestHeaders
        if not self._is_proxy(peer):
            return peer, is_tls
        said = _values(headers, b"x-forwarded-proto")
        is_https = is_tls or (bool(said) and said[-1].strip().lower() == "https")
        return self._client(peer, _values(headers, b"x-forwarded-for")), is_https

    def refuse_in_the_clear(self, request: Any, *, is_tls: bool) -> None:
        """Nobody's secret may cross a network without TLS. Raises `Refusal`."""
        peer = _peer(request)
        if not (is_tls or self._is_proxy(peer) or peer is None or peer.is_loopback):
            raise Refusal(
                403,
                "The console is not reached this way.",
                "You came past the proxy in front of it, without TLS.",
                "Use the address the operators were given.",
            )

    def _host(self, headers: Any, is_https: bool) -> str:
        said = headers.getRawHeaders(b"host") or []
        if len(said) != 1:
            raise Refusal(400, "A request must name one host.")
        host: str = said[0].decode("latin-1").strip().lower()
        found = _HOST.fullmatch(host)
        if found is None:
            raise Refusal(400, "The host that was asked for is none.")
        # No other site can bring a browser here by an address in figures under a name of its own.
        is_figures = is_https and not self._public and ip_address(found[1].strip("[]")) is not None
        if host != self._public and found[1] not in LOOPBACK and not is_figures:
            raise Refusal(
                421,
                f"There is no {host} here.",
                "The console answers only for the host it was given, and on this machine itself.",
                f'If it should: public_url = "https://{host}" in [web].',
            )
        return host

    def _is_proxy(self, address: IpAddress | None) -> bool:
        if address is None:
            return self._believes_unix
        return any(address in network for network in self._proxies)

    def _client(self, peer: IpAddress | None, forwarded: Iterable[str]) -> IpAddress | None:
        """Whom the proxies name: the last of the list that is no proxy itself."""
        for said in reversed(list(forwarded)):
            address = ip_address(said.strip().strip("[]"))
            if address is None:
                break  # what stands before what cannot be read is not worth more
            peer = address
            if not self._is_proxy(address):
                break
        return peer


def _peer(request: Any) -> IpAddress | None:
    return ip_address(getattr(request.client, "host", "") or "")


def _values(headers: Any, name: bytes) -> list[str]:
    """All members of a header that is a list, however many lines it has."""
    lines = headers.getRawHeaders(name) or []
    return [part for line in lines for part in line.decode("latin-1").split(",") if part.strip()]


def _host_of(public_url: str) -> str:
    """The host as browsers name it: a port that is the usual one is left out."""
    url = urlsplit(public_url.lower())
    usual = {"http": 80, "https": 443}.get(url.scheme)
    return url.netloc.rpartition(":")[0] if url.port and url.port == usual else url.netloc
