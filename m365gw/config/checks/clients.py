"""What must hold of a [[client]]: its login, its passwords, where it may log in from.

The passwords themselves are not known here, only their hashes; no fault shows one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from m365gw.config.settings import Client
from m365gw.config.sources import Fault, KeyPath

LOGIN = re.compile(r"[^\x00-\x20\x7f]{1,256}")
MOST_PASSWORDS = 8  # of a client; a wrong one is compared with each
_HASH = re.compile(
    r"\$hmac-sha256\$[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}="
    r"|\$argon2id\$v=\d+\$m=(\d+),t=(\d+),p=(\d+)\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+"
)
_MOST_MEMORY = 256 * 1024  # KiB of one check of an argon2id hash
_MOST_PASSES = 20
_MOST_LANES = 16
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")  # RFC 4291 2.5.5.2


def client_faults(here: KeyPath, client: Client) -> Iterator[Fault]:
    """Every fault of one client, except those of its rule."""
    name = client.login
    if not LOGIN.fullmatch(name):
        yield (
            (*here, "login"),
            f"{name!r} is not a login name",
            "No spaces or control characters.",
        )
    if not client.password_hash and not client.password:
        yield (
            here,
            "has no password",
            f"Make one: m365gw client add --print {name}",
        )
    if len(client.password) > MOST_PASSWORDS:
        remedy = f"Take out what is no longer used; {MOST_PASSWORDS} are enough to change them."
        yield (*here, "password"), "are too many passwords", remedy
    if client.password_hash:
        yield from _hash((*here, "password_hash"), client.password_hash, f"add --print {name}")
    for number, password in enumerate(client.password):
        there: KeyPath = (*here, "password", number)
        yield from _hash((*there, "hash"), password.hash, f"passwd --print {name}")
        for cidr in password.networks:
            yield from network_fault((*there, "networks"), cidr)
    for cidr in client.networks:
        yield from network_fault((*here, "networks"), cidr)
    for realm in client.realms:
        if not re.fullmatch(r"\*|[^\x00-\x20\x7f@\\*]+", realm):
            remedy = 'As "contoso.com" or "CONTOSO", without @ or \\; or "*" for anything.'
            yield (*here, "realms"), f"{realm!r} is not a realm", remedy


def network_fault(path: KeyPath, cidr: str) -> Iterator[Fault]:
    """The fault of what should be a network."""
    try:
        network = ipaddress.ip_network(cidr)
    except ValueError as error:
        try:
            meant = f"Did you mean {ipaddress.ip_network(cidr, strict=False)}?"
        except ValueError:
            meant = 'For example "10.1.0.0/16", "192.0.2.7", "2001:db8::/48".'
        yield path, f"{error}", meant
        return
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        what = f"{cidr} is IPv4 written as IPv6, which no client has here"
        first = network.network_address.ipv4_mapped
        yield path, what, f"Did you mean {first}/{network.prefixlen - _MAPPED.prefixlen}?"


def is_usable(stored: str) -> bool:
    """Whether a password hash made elsewhere can be checked here."""
    return not any(_hash((), stored, ""))


def _hash(path: KeyPath, stored: str, command: str) -> Iterator[Fault]:
    match = _HASH.fullmatch(stored)
    if not match:
        yield path, "is not a password hash", f"Make one: m365gw client {command}"
        return
    memory, passes, lanes = (int(number or 0) for number in match.groups())
    if memory > _MOST_MEMORY or passes > _MOST_PASSES or lanes > _MOST_LANES:
        yield (
            path,
            "costs too much to check: logins would use up the memory or the time of this machine",
            f"At most m={_MOST_MEMORY},t={_MOST_PASSES},p={_MOST_LANES}; "
            f"m365gw client {command} --choose makes a fitting one.",
        )
