"""The logins of the configuration: which client is meant, and which of its passwords are good now.

A device may put a realm around its login where `realms` of its client say so: printer3@contoso.com
or CONTOSO\\printer3. The login as it is written in the configuration always comes first.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import UTC, date, datetime

from attrs import field, frozen

from m365gw.config.logins import Password
from m365gw.config.settings import Client
from m365gw.directory.passwords import composed, is_slow
from m365gw.edge.admission.admission import IpAddress, IpNetwork, ip_network
from m365gw.edge.admission.rules import place_of_login


@frozen
class Secret:
    """One password of a client, as a hash, and when and where it is good."""

    stored: str = field(repr=False)
    label: str
    expires: date | None
    networks: tuple[IpNetwork, ...]


@frozen
class Known:
    """A client that may log in. Fast hashes are of generated passwords, slow ones of chosen."""

    login: str
    networks: tuple[IpNetwork, ...]
    realms: frozenset[str]
    fast: tuple[Secret, ...]
    slow: tuple[Secret, ...]

    def takes_realm(self, realm: str) -> bool:
        """Whether a device may put this around the login."""
        return "*" in self.realms or realm.casefold() in self.realms

    def obstacle(self, secret: Secret, address: IpAddress | None, now: float) -> str:
        """Why the right password does not let in, in words for the log; "" when it does."""
        if secret.expires and datetime.fromtimestamp(now, UTC).date() > secret.expires:
            what = f'password "{secret.label}"' if secret.label else "this password"
            return f"{what} is right, but expired after {secret.expires}"
        for networks, whose in ((self.networks, "the login"), (secret.networks, "this password")):
            if networks and not any(address in network for network in networks if address):
                return f"the password is right, but the address is in none of networks of {whose}"
        return ""


class Logins:
    """All clients, by what devices say."""

    def __init__(self, clients: Iterable[Client]) -> None:
        self._known = {composed(client.login): _known(client) for client in clients}
        self._all = tuple(self._known.values())
        self._key = secrets.token_bytes(32)

    def find(self, said: str) -> Known | None:
        """The client that is meant."""
        said = composed(said)
        known = self._known.get(said)
        if known is not None:
            return known
        return next(
            (known for known, realm in self._inside(said) if known.takes_realm(realm)), None
        )

    def stand_in(self, said: str) -> Known | None:
        """Whose hashes an unknown login is checked against: the same for each try of it."""
        if not self._all:
            return None
        digest = hmac.digest(self._key, said.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return self._all[int.from_bytes(digest[:8], "big") % len(self._all)]

    def hint(self, said: str) -> str:
        """Why a login is unknown, in words for the log."""
        for known, realm in self._inside(composed(said)):
            return (
                "the login is unknown; if the device puts it around its login itself, add "
                f'"{realm}" to realms of {place_of_login(known.login)}'
            )
        return "the login is unknown"

    def _inside(self, said: str) -> Iterable[tuple[Known, str]]:
        """The clients whose login stands in this one, each with what stands around it."""
        before, at, after = said.rpartition("@")
        if at and before in self._known:
            yield self._known[before], after
        before, backslash, after = said.partition("\\")
        if backslash and after in self._known:
            yield self._known[after], before


def _known(client: Client) -> Known:
    first = [Password(hash=client.password_hash)] if client.password_hash else []
    passwords = [
        Secret(each.hash, each.label, each.expires, tuple(map(ip_network, each.networks)))
        for each in (*first, *client.password)
    ]
    return Known(
        login=client.login,
        networks=tuple(map(ip_network, client.networks)),
        realms=frozenset(realm.casefold() for realm in client.realms),
        fast=tuple(each for each in passwords if not is_slow(each.stored)),
        slow=tuple(each for each in passwords if is_slow(each.stored)),
    )
