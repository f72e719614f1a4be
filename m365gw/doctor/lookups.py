"""Asking for names: as the system does it, and as the DNS itself answers.

The system's way (hosts file, search domains, resolvers) is the one mail takes, so that is what D03
looks at. Records that only the DNS has (TXT, CNAME) are asked for D17.

Failures: none; an error is part of the answer, in words.
"""

from __future__ import annotations

import socket
from typing import Any, Final

from attrs import frozen
from twisted.names import dns, error
from twisted.names.client import Resolver

DNS_TIMEOUTS: Final = (1, 3)  # seconds to wait for the first and the second try


@frozen
class Lookup:
    """Addresses of a host, its canonical name as the system has it, or why there are none."""

    addresses: tuple[str, ...] = ()
    canonical: str = ""
    fault: str = ""


@frozen
class Answer:
    """Records of one type, or why there are none. Both empty: there is no such record."""

    records: tuple[str, ...] = ()
    fault: str = ""


def system_lookup(host: str) -> Lookup:
    """Ask as every program of this machine does. Blocking."""
    try:
        found = socket.getaddrinfo(
            host, None, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME | socket.AI_ADDRCONFIG
        )
    except OSError as problem:
        return Lookup(fault=(problem.strerror or str(problem)).strip())
    addresses = tuple(dict.fromkeys(str(each[4][0]) for each in found))
    return Lookup(addresses, next((each[3] for each in found if each[3]), ""))


class DnsLookup:
    """Asks the resolvers of the system for records."""

    def __init__(self, reactor: Any, resolv_conf: str = "/etc/resolv.conf") -> None:
        self._reactor = reactor
        self._resolv_conf = resolv_conf
        self._resolver: Any = None

    async def __call__(self, name: str, kind: str) -> Answer:
        """The TXT or CNAME records of a name."""
        if self._resolver is None:
            made: Any = Resolver  # Twisted has no types here
            self._resolver = made(resolv=self._resolv_conf, reactor=self._reactor)
        wanted = dns.TXT if kind == "TXT" else dns.CNAME
        question: Any = dns.Query
        try:
            answers, _, _ = await self._resolver.query(
                question(name.encode("idna"), wanted, dns.IN), timeout=DNS_TIMEOUTS
            )
        except (error.DNSNameError, error.DomainError):
            return Answer()
        except Exception as problem:  # a time-out, a refusal, no resolver at all
            return Answer(fault=str(problem) or type(problem).__name__)
        payloads = [each.payload for each in answers if each.type == wanted]
        return Answer(tuple(_text(payload) for payload in payloads))


def _text(payload: Any) -> str:
    """A record as text; TXT comes in pieces that belong together (RFC 7208 3.3)."""
    if isinstance(payload, dns.Record_TXT):
        return b"".join(payload.data).decode("utf-8", "replace")
    return str(payload.name)
