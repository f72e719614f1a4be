"""What may be asked of the registry, as values: one class for each order, by its path in the API.

The API and the commands build the same values and carry them out by the same code, so what a
command does while the service is stopped is what the service would have done. Answers are plain.

Failures: those of `registry`. Nothing has changed then.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

from attrs import frozen

from m365gw.directory import passwords
from m365gw.directory.certificates import DAYS
from m365gw.directory.registry import Registry

Answer = dict[str, Any]
Table = dict[str, Any]  # settings as the configuration has them


class Order(Protocol):
    """Something to be done; `by` says who wants it."""

    def carry_out(self, registry: Registry, by: str) -> Answer: ...


@frozen
class AddMailbox:
    values: Table

    def carry_out(self, registry: Registry, by: str) -> Answer:
        return {"address": registry.add_mailbox(self.values, by).address}


@frozen
class ChangeMailbox:
    address: str
    values: Table

    def carry_out(self, registry: Registry, by: str) -> Answer:
        return {"address": registry.change_mailbox(self.address, self.values, by).address}


@frozen
class RemoveMailbox:
    address: str

    def carry_out(self, registry: Registry, by: str) -> Answer:
        registry.remove_mailbox(self.address, by)
        return {"address": self.address}


@frozen
class RenewCertificate:
    """The answer has the new one, to be uploaded to Entra; the old one serves until then."""

    address: str
    days: int = DAYS

    def carry_out(self, registry: Registry, by: str) -> Answer:
        made = registry.renew_certificate(self.address, self.days, by)
        return {
            "address": self.address,
            "certificate": made.chain,
            "thumbprint": made.thumbprint,
            "ends_at": made.ends_at,
        }


@frozen
class AddClient:
    """Without a hash among its values a password is made, and stands in the answer."""

    values: Table

    def carry_out(self, registry: Registry, by: str) -> Answer:
        values, shown = self.values, {}
        if not values.get("password_hash") and not values.get("password"):
            made, stored = passwords.generate()
            values, shown = {**values, "password": [{"hash": stored}]}, {"password": made}
        return {"login": registry.add_client(values, by).login, **shown}


@frozen
class ChangeClient:
    login: str
    values: Table

    def carry_out(self, registry: Registry, by: str) -> Answer:
        return {"login": registry.change_client(self.login, self.values, by).login}


@frozen
class RemoveClient:
    login: str

    def carry_out(self, registry: Registry, by: str) -> Answer:
        registry.remove_client(self.login, by)
        return {"login": self.login}


@frozen
class AddPassword:
    """Without a hash among its values a password is made, and stands in the answer."""

    login: str
    values: Table = {}

    def carry_out(self, registry: Registry, by: str) -> Answer:
        values, shown = self.values, {}
        if not values.get("hash"):
            made, stored = passwords.generate()
            values, shown = {**values, "hash": stored}, {"password": made}
        registry.set_password(self.login, values, by)
        return {"login": self.login, **shown}


@frozen
class RemovePassword:
    """`password` is its label, or its id as listings show it."""

    login: str
    password: str

    def carry_out(self, registry: Registry, by: str) -> Answer:
        registry.remove_password(self.login, self.password, by)
        return {"login": self.login}


@frozen
class AddNetwork:
    values: Table

    def carry_out(self, registry: Registry, by: str) -> Answer:
        return {"cidr": registry.add_network(self.values, by).cidr}


@frozen
class ChangeNetwork:
    cidr: str
    values: Table

    def carry_out(self, registry: Registry, by: str) -> Answer:
        return {"cidr": registry.change_network(self.cidr, self.values, by).cidr}


@frozen
class RemoveNetwork:
    cidr: str

    def carry_out(self, registry: Registry, by: str) -> Answer:
        registry.remove_network(self.cidr, by)
        return {"cidr": self.cidr}


@frozen
class AddListener:
    values: Table

    def carry_out(self, registry: Registry, by: str) -> Answer:
        return {"name": registry.add_listener(self.values, by).name}


@frozen
class ChangeListener:
    name: str
    values: Table

    def carry_out(self, registry: Registry, by: str) -> Answer:
        return {"name": registry.change_listener(self.name, self.values, by).name}


@frozen
class RemoveListener:
    name: str

    def carry_out(self, registry: Registry, by: str) -> Answer:
        registry.remove_listener(self.name, by)
        return {"name": self.name}


@frozen
class SetSettings:
    """Single settings as text, by key: {"queue.delivery": "false"}; null takes one back.

    With `listeners` these are all there are beside the configuration.
    """

    values: dict[str, str | None]
    listeners: tuple[Table, ...] | None = None

    def carry_out(self, registry: Registry, by: str) -> Answer:
        registry.arrange(self.values, self.listeners, by)
        return {"settings": sorted(self.values)}


ORDERS: Final[Mapping[str, type[Order]]] = MappingProxyType(
    {
        "/mailboxes/add": AddMailbox,
        "/mailboxes/change": ChangeMailbox,
        "/mailboxes/remove": RemoveMailbox,
        "/mailboxes/renew": RenewCertificate,
        "/clients/add": AddClient,
        "/clients/change": ChangeClient,
        "/clients/remove": RemoveClient,
        "/clients/passwords/add": AddPassword,
        "/clients/passwords/remove": RemovePassword,
        "/networks/add": AddNetwork,
        "/networks/change": ChangeNetwork,
        "/networks/remove": RemoveNetwork,
        "/listeners/add": AddListener,
        "/listeners/change": ChangeListener,
        "/listeners/remove": RemoveListener,
        "/settings/set": SetSettings,
    }
)
