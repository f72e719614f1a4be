"""Who may connect, and who may send as whom, by which mailbox.

Pure decisions, closed by default: what no rule allows is denied. A rule belongs to a login
([[client]]) or to a trusted network ([[network]], named in `networks` of the listener). Every
answer is a value with words, so that a session and `m365gw explain` decide and say the same.

Denials are values too: 530 5.7.0 where a login would help, 550 5.7.1 where none would, and what the
rule says (`rules`). Nothing is raised.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from functools import lru_cache
from time import monotonic
from typing import Any

from attrs import frozen

from m365gw.config.settings import Client, Listener, Network, Quirk
from m365gw.edge.admission.allowances import Allowances
from m365gw.edge.admission.rules import Denied, Rule, client_rule, network_rule
from m365gw.edge.session import answers
from m365gw.smtp.repair.line_ends import LINE_ENDS
from m365gw.smtp.replies import Reply

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@frozen
class Visitor:
    """A client as admission sees it. `login` is "" until AUTH succeeded."""

    listener: Listener
    address: IpAddress | None  # None: it came by a Unix socket, or by a way nobody named
    login: str = ""

    def has_quirk(self, quirk: Quirk) -> bool:
        """Whether the listener makes this exception for it."""
        if quirk not in self.listener.quirks:
            return False
        return not self.listener.quirk_networks or self.is_in(self.listener.quirk_networks)

    @property
    def repairs(self) -> frozenset[str]:
        """What is mended of its messages."""
        line_ends = (LINE_ENDS,) if self.has_quirk("bare-lf") else ()
        return frozenset((*self.listener.repair, *line_ends))

    def is_in(self, networks: Iterable[str]) -> bool:
        """Whether its address is in one of these networks."""
        address = self.address
        return address is not None and any(address in ip_network(each) for each in networks)


class Admission:
    """The rules of the configuration, ready to be asked."""

    def __init__(
        self,
        clients: Iterable[Client],
        networks: Iterable[Network],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`clock` gives seconds that only go forward."""
        self.allowances = Allowances(clock)
        self.edition = 0  # counts the replacements: a rule that was looked up is of one edition
        self.replace(clients, networks)

    def replace(self, clients: Iterable[Client], networks: Iterable[Network]) -> None:
        """Take the rules of a new configuration; sessions in progress stand under them at once."""
        self.edition += 1
        self._logins = {client.login: client_rule(client) for client in clients}
        self._networks = {ip_network(each.cidr): network_rule(each) for each in networks}

    def rule_for(self, visitor: Visitor) -> Rule | Denied:
        """The rule a visitor stands under: that of its login, else of the narrowest network.

        A network counts only on listeners that name it, or a wider one around it.
        """
        if visitor.login:
            rule = self._logins.get(visitor.login)
            return rule or Denied(
                Reply(550, "5.7.1", f'No rule says what login "{visitor.login}" may send')
            )
        address = visitor.address
        trusted = [
            network
            for network in self._networks
            if address is not None
            and address in network
            and trusts(visitor.listener.networks, network)
        ]
        if trusted:
            return self._networks[max(trusted, key=lambda network: network.prefixlen)]
        return Denied(_unknown(visitor))


def may_log_in(visitor: Visitor, *, is_secure: bool) -> Denied | None:
    """Why no login is taken from a visitor; None where one is. `is_secure`: it speaks in TLS."""
    if visitor.listener.auth == "off":
        return Denied(answers.NO_LOGINS_HERE)
    if not is_secure and not visitor.has_quirk("plaintext-auth"):
        return Denied(answers.NEEDS_TLS_TO_LOG_IN)
    return None


def ip_address(host: str) -> IpAddress | None:
    """The address of a peer: without scope, IPv4 in IPv6 as the IPv4 it is; None if it is none."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=1024)
def ip_network(cidr: str) -> IpNetwork:
    """A network as configured; raises ValueError for host bits and for what is no network."""
    return ipaddress.ip_network(cidr)


def trusts(trusted: Iterable[str], network: IpNetwork) -> bool:
    """Whether a listener that trusts these networks trusts this one, or one around it."""
    wider: Iterable[Any] = map(ip_network, trusted)
    return any(each.version == network.version and network.subnet_of(each) for each in wider)


def wider_rules(
    network: IpNetwork, rules: Iterable[str], listeners: Iterable[Iterable[str]]
) -> list[str]:
    """The networks among `rules` under which the machines of one stand when it has no rule itself.

    `listeners`: what each of them trusts.
    """
    trusted = [list(each) for each in listeners]
    return [
        cidr
        for cidr in rules
        if ip_network(cidr) != network
        and trusts([cidr], network)
        and any(trusts(each, ip_network(cidr)) for each in trusted)
    ]


def _unknown(visitor: Visitor) -> Reply:
    """The denial of a client that has no login and is in no trusted network."""
    listener = visitor.listener
    where = f"{visitor.address or 'this socket'} is in no trusted network of listener"
    if listener.auth == "off":
        return Reply(
            550,
            "5.7.1",
            f'{where} "{listener.name}", and it takes no logins. '
            f"To allow it, the gateway's operator adds its network to networks of that listener",
        )
    return Reply(530, "5.7.0", f'Authentication required: {where} "{listener.name}"')
