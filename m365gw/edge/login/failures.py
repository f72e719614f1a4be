"""Failed logins: how long their answers wait, how many may wait, and when that is forgiven.

Each wrong password doubles the wait of its address, and of its login at addresses that never
logged in by it; the counts halve with time. The same wrong password for the same login counts
once: a device with an outdated password tries it all day and must not lock out its neighbours
behind the same address. A good login forgives what its address did wrong with that login. No login
is ever locked, as anyone could then lock out anyone.

A wait alone does not slow down who guesses: the right password is answered at once, so it need not
wait for the answer to a wrong one, but can leave and come again. Therefore only so many answers
wait at a time.

Passwords and logins are known here by keyed digests only (`attempt`, `login`). Memory is bounded:
what failed longest ago is forgotten.
"""

from __future__ import annotations

import ipaddress
from typing import Final, TypeVar

from attrs import define, field

from m365gw.config.logins import Logins
from m365gw.edge.admission.admission import IpAddress

MOST_REMEMBERED: Final = 10_000  # addresses, logins, and good pairs of the two
TOLD_AGAIN: Final = 60.0  # seconds until the log is told again that an address is turned away
_MOST_WRONG: Final = 16  # wrong passwords remembered of an address or login

Key = TypeVar("Key")
Value = TypeVar("Value")


def neighbourhood(address: IpAddress | None) -> str:
    """What is counted as one client: an IPv4 address, or the /64 an IPv6 address is in."""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address or "")


@define
class _Record:
    """What an address, or all strangers to a login, did wrong."""

    count: float = 0.0
    at: float = 0.0
    waiting: int = 0  # answers
    told_at: float = float("-inf")
    wrong: dict[bytes, bytes] = field(factory=dict)  # attempt: login

    def decay(self, now: float, half_life: float) -> float:
        """The count as it is now."""
        self.count *= 0.5 ** (max(0.0, now - self.at) / half_life)
        self.at = now
        return self.count

    def add(self, attempt: bytes, login: bytes) -> bool:
        """Count a failure, unless it was there before; says whether it is new."""
        is_new = self.wrong.pop(attempt, None) is None
        self.wrong[attempt] = login
        if len(self.wrong) > _MOST_WRONG:
            del self.wrong[next(iter(self.wrong))]
        self.count += is_new
        self.waiting += 1
        return is_new

    def forgive(self, login: bytes) -> None:
        """Take back what was counted for this login."""
        forgiven = [attempt for attempt, whose in self.wrong.items() if whose == login]
        for attempt in forgiven:
            del self.wrong[attempt]
        self.count = max(0.0, self.count - len(forgiven)) if self.wrong else 0.0


class Failures:
    """The failed logins of all addresses. Times are seconds of any steady clock, passed in."""

    def __init__(self, limits: Logins) -> None:
        self.limits = limits
        self._addresses: dict[str, _Record] = {}
        self._logins: dict[bytes, _Record] = {}
        self._good: dict[tuple[str, bytes], None] = {}  # who logged in from where

    def count(self, address: IpAddress | None, now: float) -> float:
        """How much this address has done wrong lately."""
        record = self._addresses.get(neighbourhood(address))
        return record.decay(now, self.limits.forgiven_after) if record else 0.0

    def is_known(self, address: IpAddress | None, attempt: bytes) -> bool:
        """Whether this address has tried exactly this before, in vain."""
        record = self._addresses.get(neighbourhood(address))
        return record is not None and attempt in record.wrong

    def is_full(self, address: IpAddress | None, login: bytes, checks: int = 0) -> bool:
        """Whether so many answers wait that this address may not try this login yet.

        `checks` are under way for the address. Where more than one failed before they may all end
        in an answer that waits; elsewhere they are those of an application that has just started.
        """
        record = self._addresses.get(neighbourhood(address))
        if record:
            waiting = record.waiting + (checks if record.count > 1 else 0)
            if waiting >= self.limits.address_wait_limit:
                return True
        others = self._logins.get(login)
        is_full = others is not None and others.waiting >= self.limits.login_wait_limit
        return is_full and not self._is_good(address, login)

    def add(
        self, address: IpAddress | None, login: bytes, attempt: bytes, now: float
    ) -> tuple[float, bool]:
        """Note a failed login: how many seconds its answer waits, until `said`; is it a new one?"""
        limits = self.limits
        record = _last(self._addresses, neighbourhood(address), _Record())
        record.decay(now, limits.forgiven_after)
        is_new = record.add(attempt, login)
        count = record.count
        if not self._is_good(address, login):
            others = _last(self._logins, login, _Record())
            others.decay(now, limits.forgiven_after)
            others.add(attempt, login)
            count = max(count, others.count)
        doubled = limits.shortest_wait * 2 ** max(0.0, min(count, 20.0) - 1)
        return min(limits.longest_wait, doubled), is_new

    def said(self, address: IpAddress | None, login: bytes) -> None:
        """An answer waits no longer."""
        for record in (self._addresses.get(neighbourhood(address)), self._logins.get(login)):
            if record is not None:  # it may have been forgotten, and even begun anew
                record.waiting = max(0, record.waiting - 1)

    def forgive(self, address: IpAddress | None, login: bytes) -> None:
        """A login has succeeded: what its address did wrong with it counts no more."""
        key = neighbourhood(address)
        _last(self._good, (key, login), None)
        record = self._addresses.get(key)
        if record is not None:
            record.forgive(login)

    def is_news(self, address: IpAddress | None, now: float) -> bool:
        """Whether the log should be told that this address is turned away: now and then."""
        record = _last(self._addresses, neighbourhood(address), _Record())
        if now - record.told_at < TOLD_AGAIN:
            return False
        record.told_at = now
        return True

    def _is_good(self, address: IpAddress | None, login: bytes) -> bool:
        return (neighbourhood(address), login) in self._good


def _last(records: dict[Key, Value], key: Key, new: Value) -> Value:
    """The value of this key, made the last one; the first is forgotten when there are too many."""
    value = records[key] = records.pop(key, new)
    if len(records) > MOST_REMEMBERED:
        del records[next(iter(records))]
    return value
