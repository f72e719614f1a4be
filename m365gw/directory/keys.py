"""By which name an entry is known, however it is written."""

from __future__ import annotations

import ipaddress
from types import MappingProxyType
from typing import Final

from m365gw.directory.passwords import composed

# The setting that names a row of each table.
NAMES: Final = MappingProxyType(
    {"listener": "name", "mailbox": "address", "client": "login", "network": "cidr"}
)


def key_of(table: str, name: str) -> str:
    """A name as it is compared: one key for all ways to write it (`A@B.com`, `10.1.0.7/32`)."""
    if table == "mailbox":
        return name.casefold()
    if table == "client":
        return composed(name)
    if table != "network":
        return name
    try:
        return str(ipaddress.ip_network(name))
    except ValueError:
        return name  # no network; whoever checks says so
