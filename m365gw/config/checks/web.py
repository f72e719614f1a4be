"""What must hold of [web]: nobody's password may cross a network in the clear.

Plain http is for this machine alone, unless a proxy that is named stands in front and does TLS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from m365gw.config.checks.clients import network_fault
from m365gw.config.checks.listeners import UNIX
from m365gw.config.endpoints import endpoint_fault
from m365gw.config.sources import Fault
from m365gw.config.web import Web
from m365gw.microsoft.clouds import is_loopback

_ANYWHERE = ("", "0.0.0.0", "::")
_INTERFACE = re.compile(r":interface=((?:\\:|[^:])+)")


def web_faults(web: Web) -> Iterator[Fault]:
    """Every fault of the table."""
    for name in ("idle_time", "session_time"):
        if getattr(web, name) <= 0:
            yield ("web", name), "must be more than 0", "Take it out to get the default."
    for cidr in web.trusted_proxies:
        if cidr != UNIX:
            yield from network_fault(("web", "trusted_proxies"), cidr)
    for cidr in web.metrics_from:
        yield from network_fault(("web", "metrics_from"), cidr)
    if web.public_url:
        yield from _public_url(web)
    if web.endpoint:
        yield from _endpoint(web)


def _endpoint(web: Web) -> Iterator[Fault]:
    key = ("web", "endpoint")
    fault = endpoint_fault(web.endpoint)
    if fault:
        yield key, *fault
    elif not (web.tls or web.trusted_proxies or _is_for_this_machine(web.endpoint)):
        yield (
            key,
            "would take passwords in the clear from other machines",
            'Add ":interface=127.0.0.1", set tls = true, or name the proxy in front'
            " (trusted_proxies).",
        )
    elif not (web.public_url or web.tls or _is_for_this_machine(web.endpoint)):
        yield (
            ("web", "public_url"),
            "is missing: without it only requests for this machine itself are answered",
            'As people type it: "https://relay.example.com".',
        )


def _public_url(web: Web) -> Iterator[Fault]:
    key = ("web", "public_url")
    try:
        parts = urlsplit(web.public_url)
        is_good = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_good, parts = False, urlsplit("")
    if (
        not is_good
        or parts.scheme not in ("http", "https")
        or parts.username is not None
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
    ):
        yield (
            key,
            f"{web.public_url!r} is not the address of a site of its own",
            'As "https://relay.example.com" or "https://relay.example.com:8443", without a path.',
        )
    elif parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        yield (
            key,
            "http would send passwords in the clear",
            "Use https, with tls = true or a proxy in front.",
        )


def _is_for_this_machine(endpoint: str) -> bool:
    """Whether only this machine can connect, as far as the text tells."""
    interface = _INTERFACE.search(endpoint)
    place = interface[1].replace("\\:", ":") if interface else ""
    return endpoint.startswith("unix:") or (place not in _ANYWHERE and is_loopback(place))
