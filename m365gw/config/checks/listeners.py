"""What must hold of a [[listener]]: its place, its networks, and that its modes go together."""

from __future__ import annotations

from collections.abc import Iterator

from m365gw.config.checks.clients import network_fault
from m365gw.config.endpoints import endpoint_fault
from m365gw.config.settings import Listener
from m365gw.config.sources import Fault, KeyPath

_FOR_NAMED_NETWORKS = {
    "legacy-tls": "take up old, breakable TLS",
    "bare-lf": "send what other servers read in another way",
}

UNIX = "unix"  # the word in proxy_from for whoever comes by a UNIX socket


def listener_faults(here: KeyPath, listener: Listener) -> Iterator[Fault]:
    """Every fault of one listener."""
    fault = endpoint_fault(listener.endpoint)
    if fault:
        yield (*here, "endpoint"), *fault
    yield from _login_without_tls(here, listener)
    yield from _quirks(here, listener)
    for cidr in listener.proxy_from:
        if cidr != UNIX:
            yield from network_fault((*here, "proxy_from"), cidr)
    for cidr in listener.quirk_networks:
        yield from network_fault((*here, "quirk_networks"), cidr)
    for cidr in listener.networks:
        yield from network_fault((*here, "networks"), cidr)


def _login_without_tls(here: KeyPath, listener: Listener) -> Iterator[Fault]:
    if (
        listener.tls == "none"
        and listener.auth == "require"
        and "plaintext-auth" not in listener.quirks
        and not listener.proxy_from  # TLS may end at the load balancer
    ):
        yield (
            (*here, "auth"),
            "a login is required, but without TLS none is offered",
            'Set tls = "starttls" or auth = "off"; for old devices quirks = ["plaintext-auth"].',
        )


def _quirks(here: KeyPath, listener: Listener) -> Iterator[Fault]:
    for quirk, harm in _FOR_NAMED_NETWORKS.items():
        if quirk in listener.quirks and not listener.quirk_networks:
            yield (
                (*here, "quirks"),
                f"{quirk} would let anybody {harm}",
                'Name the devices that need it: quirk_networks = ["10.1.9.0/24"].',
            )
    if listener.quirk_networks and not listener.quirks:
        yield (
            (*here, "quirk_networks"),
            "is of no use without quirks",
            "Take it out, or say which quirks.",
        )
