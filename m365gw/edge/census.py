"""How many connections there are at a time: in all listeners together, and from each address."""

from __future__ import annotations

from m365gw.config.settings import Limits
from m365gw.edge.admission import IpAddress, may_connect
from m365gw.edge.failures import neighbourhood
from m365gw.edge.rules import Denied


class Census:
    """Counts connections and says when there is one too many. Made once for all listeners."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._from: dict[str, int] = {}
        self.connections = 0

    def configure(self, limits: Limits) -> None:
        """From now on these are the limits; who is connected stays connected."""
        self._limits = limits

    def enter(self, address: IpAddress | None) -> Denied | None:
        """Count one more connection, or say why there is no room for it."""
        key = neighbourhood(address)
        count = self._from.get(key, 0)
        denied = may_connect(self._limits, self.connections, count)
        if denied is None:
            self._from[key] = count + 1
            self.connections += 1
        return denied

    def leave(self, address: IpAddress | None) -> None:
        """A connection that had entered is closed."""
        key = neighbourhood(address)
        self.connections -= 1
        self._from[key] -= 1
        if not self._from[key]:
            del self._from[key]
