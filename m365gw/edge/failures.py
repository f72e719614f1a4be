"""Failed logins: how long an address waits after them, and how many of it may wait.

Each wrong password of an address doubles the wait, up to a bound, and the count halves with time.
The same wrong password for the same login counts once: a device with an outdated password tries
it all day and must not lock out its neighbours behind the same address. No login is ever locked,
as anyone could then lock out anyone.

A wait alone does not slow down who guesses: the right password is answered at once, so it need not
wait for the answer to a wrong one, but can leave and come again. Therefore only so many answers of
an address wait at a time.
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
MOST_WAITING: Final = 10  # answers of one address
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
    waiting: int = 0  # answers
    passwords: set[bytes] = field(factory=set)  # keyed digests of login and password


class Failures:
    """The failed logins of all addresses. Times are seconds of any steady clock, passed in."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}
        self._key = secrets.token_bytes(32)

    def is_full(self, address: IpAddress | None) -> bool:
        """Whether so many answers of this address wait that it may not try again yet."""
        record = self._records.get(neighbourhood(address))
        return record is not None and record.waiting >= MOST_WAITING

    def said(self, address: IpAddress | None) -> None:
        """An answer waits no longer."""
        record = self._records.get(neighbourhood(address))
        if record is not None:  # it may have been forgotten, and even begun anew
            record.waiting = max(0, record.waiting - 1)

    def add(self, address: IpAddress | None, login: str, password: str, now: float) -> float:
        """Note a failed login; returns how many seconds its answer has to wait, until `said`."""
        key = neighbourhood(address)
        record = self._records.pop(key, None) or _Record(at=now)
        self._records[key] = record  # the newest is last
        if len(self._records) > MOST_ADDRESSES:
            del self._records[next(iter(self._records))]
        record.count *= 0.5 ** ((now - record.at) / HALF_LIFE)
        record.at = now
        record.waiting += 1
        digest = self._digest(login, password)
        if digest not in record.passwords:
            record.count += 1
            if len(record.passwords) < _MOST_PASSWORDS:
                record.passwords.add(digest)
        return min(LONGEST_WAIT, SHORTEST_WAIT * 2 ** max(0.0, min(record.count, 10.0) - 1))

    def _digest(self, login: str, password: str) -> bytes:
        said = f"{len(login)} {login} {password}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, said, hashlib.sha256)
