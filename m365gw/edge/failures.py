"""Failed logins: how long an address waits after them.

Each wrong password of an address doubles the wait, up to a bound, and the count halves with time.
The same wrong password for the same login counts once: a device with an outdated password tries
it all day and must not lock out its neighbours behind the same address. No login is ever locked,
as anyone could then lock out anyone.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from typing import Final

from attrs import define, field

from m365gw.edge.admission import IpAddress

SHORTEST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 30.0
HALF_LIFE: Final = 600.0  # seconds in which a count halves
MOST_ADDRESSES: Final = 10_000  # remembered; then the oldest is forgotten
_MOST_PASSWORDS: Final = 16  # remembered of one address


def neighbourhood(address: IpAddress | None) -> str:
    """What is counted as one client: an IPv4 address, or the /64 an IPv6 address is in."""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address or "")


@define
class _Record:
    count: float = 0.0
    at: float = 0.0
    passwords: set[bytes] = field(factory=set)  # keyed digests of login and password


class Failures:
    """The failed logins of all addresses. Times are seconds of any steady clock, passed in."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}
        self._key = secrets.token_bytes(32)

    def add(self, address: IpAddress | None, login: str, password: str, now: float) -> float:
        """Note a failed login; returns how many seconds to wait before saying so."""
        key = neighbourhood(address)
        record = self._records.pop(key, None) or _Record(at=now)
        self._records[key] = record  # the newest is last
        if len(self._records) > MOST_ADDRESSES:
            del self._records[next(iter(self._records))]
        record.count *= 0.5 ** ((now - record.at) / HALF_LIFE)
        record.at = now
        digest = self._digest(login, password)
        if digest not in record.passwords:
            record.count += 1
            if len(record.passwords) < _MOST_PASSWORDS:
                record.passwords.add(digest)
        return min(LONGEST_WAIT, SHORTEST_WAIT * 2 ** max(0.0, min(record.count, 10.0) - 1))

    def _digest(self, login: str, password: str) -> bytes:
        said = f"{len(login)} {login} {password}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, said, hashlib.sha256)
