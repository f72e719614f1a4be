"""The messages that are being delivered now.

Failures: none leave here. A delivery that fails for a reason of its own is logged, and lands like
any other; its landing says that the message is to be looked at again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from m365gw.events import EventLog
from m365gw.relay.delivery.delivery import Delivery
from m365gw.spool.health import SpoolError
from m365gw.spool.names import Entry

_diagnostics = Logger()


@frozen
class Landing:
    """A delivery has ended.

    `rests` is the entry under which the message rests now, None when it does not. `has_failed`: the
    disk failed, or something nobody foresaw; the message is as its last note on disk says.
    """

    taken: Entry
    rests: Entry | None
    has_failed: bool = False


@define(kw_only=True)
class Flights:
    """Deliveries under way, by the number of their message."""

    delivery: Delivery
    clock: IReactorTime
    log: EventLog
    _flying: dict[int, tuple[Entry, Deferred[Any]]] = field(factory=dict)

    def __len__(self) -> int:
        return len(self._flying)

    def __contains__(self, number: object) -> bool:
        return number in self._flying

    @property
    def queue_ids(self) -> list[str]:
        """Which messages are in flight."""
        return [entry.queue_id for entry, _ in self._flying.values()]

    def entry(self, number: int) -> Entry | None:
        """The message in flight with this number, as it was when it was taken."""
        entry, _ = self._flying.get(number, (None, None))
        return entry

    def start(self, entry: Entry, landed: Callable[[Landing], object]) -> None:
        """Deliver a message; `landed` is called when that has come to its end."""
        flight = Deferred.fromCoroutine(self.delivery.deliver(entry))
        self._flying[entry.id] = entry, flight
        landing = flight.addCallback(lambda rests: Landing(entry, rests))
        landing.addErrback(self._failed, entry)
        landing.addCallback(self._land, landed)
        landing.addErrback(lambda fault: _diagnostics.failure("landing", failure=fault))

    async def settled(self, seconds: float) -> None:
        """Wait so long for what is in flight; then it is cut off.

        What was cut off stays in the spool as its last note on disk says.
        """
        if self._flying:
            flights = [flight for _, flight in self._flying.values()]
            landed = DeferredList(flights, consumeErrors=True)
            bound = self.clock.callLater(seconds, landed.cancel)
            await landed
            if bound.active():
                bound.cancel()

    def _failed(self, fault: Failure, entry: Entry) -> Landing:
        if isinstance(fault.value, SpoolError):
            note = f"the spool failed ({fault.value.cause}); tried again in a minute"
            self.log.emit("delivery.postponed", "qmgr", entry.queue_id, level="error", note=note)
        else:
            _diagnostics.failure("{qid}: delivery failed", failure=fault, qid=entry.queue_id)
        return Landing(entry, None, has_failed=True)

    def _land(self, landing: Landing, landed: Callable[[Landing], object]) -> None:
        self._flying.pop(landing.taken.id, None)
        landed(landing)
