"""Who is connected: how many in all listeners together, from each address, from each network.

Clients are known when their listener trusts their network, or when somebody logged in at their
address lately. Some connections are kept for them, so that an attack from outside finds its end
before the printers do. The others, strangers, are also counted by network, and by how many come
in a minute: each new connection may cost a TLS handshake.

While strangers hold nearly all places they may have, they have less time (`Stay.is_pressed`, like
Postfix's stress mode): whoever does nothing makes room for others.

Failures: 421 4.7.0, as a value.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from attrs import frozen
from twisted.internet.interfaces import IReactorTime

from m365gw.config.limits import Limits
from m365gw.edge.admission.admission import IpAddress
from m365gw.edge.login.failures import neighbourhood
from m365gw.smtp.replies import Reply

MOST_KNOWN: Final = 10_000  # addresses where somebody logged in
MINUTE: Final = 60.0  # seconds
PRESSED, RELIEVED = 0.8, 0.6  # of the places of strangers: where it begins, and where it ends

_ALL: Final = "all"
_STRANGERS: Final = "strangers"


@frozen(eq=False)
class Stay:
    """One connection, counted until it ends."""

    census: Census
    is_known: bool
    counted_as: tuple[str, ...]

    def is_pressed(self) -> bool:
        """Whether its place is wanted by so many others that it should not wait long."""
        return self.census.is_pressed and not self.is_known

    def end(self) -> None:
        """The connection is closed."""
        self.census.leave(self)


class Census:
    """Counts connections and says when there is one too many. Made once for all listeners."""

    def __init__(self, limits: Limits, clock: IReactorTime) -> None:
        self._limits = limits
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._known: dict[str, None] = {}  # neighbourhoods; the last one logged in last
        self._new: Counter[str] = Counter()  # connections of strangers in this minute, by address
        self._minute_ends = 0.0
        self.is_pressed = False  # strangers hold nearly all places they may have

    @property
    def connections(self) -> int:
        """All that there are now."""
        return self._counts[_ALL]

    def configure(self, limits: Limits) -> None:
        """From now on these are the limits; who is connected stays connected."""
        self._limits = limits

    def know(self, address: IpAddress | None) -> None:
        """Somebody has logged in at this address."""
        who = neighbourhood(address)
        self._known.pop(who, None)
        self._known[who] = None
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]

    def enter(self, address: IpAddress | None, *, is_trusted: bool) -> Stay | Reply:
        """Count one more connection, or say why there is no room for it."""
        who = neighbourhood(address)
        is_known = is_trusted or who in self._known
        bounds = list(self._bounds(who, address, is_known=is_known))
        for key, most, words in bounds:
            if self._counts[key] >= most:
                return Reply(421, "4.7.0", words)
        if not is_known and self._is_burst(who):
            limit = self._limits.client_connection_rate_limit
            words = f"Too many connections in a minute from your address; the limit is {limit}"
            return Reply(421, "4.7.0", words)
        stay = Stay(self, is_known, tuple(key for key, _, _ in bounds))
        self._counts.update(stay.counted_as)
        self._weigh()
        return stay

    def leave(self, stay: Stay) -> None:
        """A connection that had entered is closed."""
        for key in stay.counted_as:
            self._counts[key] -= 1
            if not self._counts[key]:
                del self._counts[key]
        self._weigh()

    def _bounds(
        self, who: str, address: IpAddress | None, *, is_known: bool
    ) -> Iterator[tuple[str, int, str]]:
        """Under what a connection is counted: key, most at a time, words when there is no more."""
        limits = self._limits
        limit = limits.client_connection_limit
        busy = "Too many connections to this server; try again later"
        yield _ALL, limits.connection_limit, busy
        yield who, limit, f"Too many connections from your address; the limit is {limit} at a time"
        if not is_known:
            limit = limits.network_connection_limit
            words = f"Too many connections from your network; the limit is {limit} at a time"
            yield network_of(address), limit, words
            yield _STRANGERS, self._most_strangers, busy

    @property
    def _most_strangers(self) -> int:
        return self._limits.connection_limit - self._limits.connection_reserve

    def _is_burst(self, who: str) -> bool:
        """Count a connection of a stranger; whether it is one too many in this minute."""
        now = self._clock.seconds()
        if now >= self._minute_ends:
            self._new.clear()
            self._minute_ends = now + MINUTE
        self._new[who] += 1
        return self._new[who] > self._limits.client_connection_rate_limit

    def _weigh(self) -> None:
        mark = (RELIEVED if self.is_pressed else PRESSED) * self._most_strangers
        self.is_pressed = self._counts[_STRANGERS] >= mark


@lru_cache(maxsize=1024)
def network_of(address: IpAddress | None) -> str:
    """The network an address is counted with."""
    if address is None:
        return "network of no address"
    length = 24 if isinstance(address, ipaddress.IPv4Address) else 48
    return str(ipaddress.ip_network((address, length), strict=False))
