"""Who is at the other end of a connection, before a word of SMTP is said.

Without a load balancer that is the address the socket knows. Behind one it is whom the PROXY
header names, and that address alone decides networks, limits and logs. A client whom the header
does not name has no address, so it is in no trusted network; the balancer's own address is never
taken for that of a client. When the balancer says that it has connected for itself (LOCAL, a
health check), it is the client.

TLS that ended at the balancer is as good as ours when the header says so, with a version that the
listener takes itself. A certificate the client showed there is logged, and proves nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, field, frozen

from m365gw.config.checks.listeners import UNIX
from m365gw.config.settings import Listener
from m365gw.edge.admission.admission import IpAddress, Visitor, ip_address, ip_network
from m365gw.smtp.proxy import Header
from m365gw.smtp.proxy_fields import BalancerTls, Fields

MODERN_TLS: Final = ("TLSv1.2", "TLSv1.3")
LEGACY_TLS: Final = ("TLSv1", "TLSv1.0", "TLSv1.1")


@frozen
class Caller:
    """The client of a connection. `address` is None where there is none, or none is known."""

    address: IpAddress | None
    port: int = 0
    place: str = ""  # shown where there is no address
    tls: str = ""  # version and cipher, where TLS ended at the balancer
    told: Mapping[str, str] = field(factory=dict)  # by the balancer, for the log

    @property
    def name(self) -> str:
        """The client as Postfix's log names it."""
        return f"unknown[{self.address or self.place}]"


def caller_at(address: Any) -> Caller:
    """Who a transport says has connected."""
    host = ip_address(getattr(address, "host", ""))
    return Caller(host, getattr(address, "port", 0), place=UNIX)


def must_introduce(listener: Listener, caller: Caller) -> bool:
    """Whether this is a load balancer that has to say whom it brings."""
    if caller.address is None:
        return UNIX in listener.proxy_from
    return any(
        caller.address in ip_network(network) for network in listener.proxy_from if network != UNIX
    )


def introduced(header: Header, balancer: Caller, listener: Listener) -> Caller:
    """The client that a load balancer has brought."""
    told = {"via": str(balancer.address or balancer.place)}
    if header.is_local:
        return evolve(balancer, told=told)
    told |= _told(header.fields)
    if header.source is None:
        return Caller(None, place=header.unix_path or "unknown", told=told)
    # An IPv4 client of a balancer that listens on IPv6 is the IPv4 client it is.
    address = ip_address(str(header.source[0]))
    caller = Caller(address, header.source[1], told=told)
    return evolve(caller, tls=_tls_words(header.fields.tls, Visitor(listener, address)))


def _told(fields: Fields) -> dict[str, str]:
    tls = fields.tls
    told = {
        "unique_id": fields.unique_id,
        "sni": fields.authority,
        "via_tls": f"{tls.version} {tls.cipher}".strip() if tls and tls.is_used else "",
        "client_cn": tls.common_name if tls and tls.is_verified else "",
    }
    return {name: words for name, words in told.items() if words}


def _tls_words(tls: BalancerTls | None, visitor: Visitor) -> str:
    """Version and cipher of TLS that counts, else ""."""
    if tls is None or not tls.is_used:
        return ""
    takes_legacy = visitor.has_quirk("legacy-tls")
    is_good = tls.version in MODERN_TLS or (takes_legacy and tls.version in LEGACY_TLS)
    return f"{tls.version} {tls.cipher}".strip() if is_good else ""
