"""Which server people enter in their mail programs: name, port, and how TLS begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen

from m365gw.config.settings import Settings

AT_ONCE: Final = 465  # the port where TLS begins at once (RFC 8314)


@frozen
class Server:
    """One of them."""

    host: str
    port: int
    is_implicit: bool  # TLS at once; else STARTTLS

    @property
    def words(self) -> str:
        """How TLS begins, as mail programs call it."""
        return "SSL/TLS" if self.is_implicit else "STARTTLS"


def servers(settings: Settings, places: Sequence[dict[str, str]]) -> list[Server]:
    """All that take a login under TLS, the one to be preferred first (STARTTLS on 587).

    `places` are the listeners with their addresses, as the status of the gateway has them.
    """
    named = settings.self_service.servers
    found = list(_stated(named) if named else _listening(settings, places))
    return sorted(found, key=lambda each: (each.port != 587, each.is_implicit, each.port))


def _stated(named: Sequence[str]) -> Iterator[Server]:
    for each in named:
        host, _, port = each.rpartition(":")
        yield Server(host, int(port), int(port) == AT_ONCE)


def _listening(settings: Settings, places: Sequence[dict[str, str]]) -> Iterator[Server]:
    addresses = {each["listener"]: each["address"] for each in places}
    for listener in settings.listener:
        port = addresses.get(listener.name, "").rpartition(":")[2]
        if port.isdecimal() and listener.auth != "off" and listener.tls != "none":
            is_implicit = listener.tls == "implicit" or int(port) == AT_ONCE
            yield Server(settings.hostname, int(port), is_implicit)
