"""The loop of mail out: which message goes when.

Ready mailboxes are served as far as the governor and their state allow; a mailbox that may not
send sleeps until it may. Everything runs by one timer, so a quiet queue costs nothing and a full
one no more than a busy one. The spool is read in slices, at the start while messages already go
out, and again each `queue_run_delay` for what memory does not know (released by a tool, forgotten
for want of room).

While the health gate of the spool is closed nothing is delivered. `stop` lets what is in flight
come to its end, within a bound.

Failures: none leave here. A delivery that fails is logged, its message tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush
from itertools import islice
from math import inf
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from m365gw.config.settings import Queue
from m365gw.events import EventLog
from m365gw.relay.clearance import Clearance
from m365gw.relay.delivery import Delivery
from m365gw.relay.governor import Governor
from m365gw.relay.mailboxes import Mailboxes
from m365gw.relay.shortages import Shortages
from m365gw.relay.stops import Stop
from m365gw.relay.threads import Calls
from m365gw.relay.upkeep import Upkeep
from m365gw.spool.health import SpoolError
from m365gw.spool.names import Entry, State, tag
from m365gw.spool.schedule import Schedule
from m365gw.spool.spool import Spool

SLICE = 500  # names read from the spool in one turn
MOST_AT_ONCE = 100  # messages one mailbox starts in one turn
MOST_IN_FLIGHT = 1000  # each has a file and a socket open
RETRY_DISK = 60.0  # seconds until a message the disk failed is looked at again

_diagnostics = Logger()


class Dispatch:
    """Delivers what the spool holds. Made once; `start`, then `accepted` for each new message."""

    def __init__(
        self,
        *,
        spool: Spool,
        schedule: Schedule,
        governor: Governor,
        mailboxes: Mailboxes,
        delivery: Delivery,
        queue: Queue,
        addresses: Iterable[str],
        clock: IReactorTime,
        disk: Calls,
        log: EventLog,
        has_new_sign_in: Callable[[str], bool],
    ) -> None:
        self._spool = spool
        self._schedule = schedule
        self._governor = governor
        self._mailboxes = mailboxes
        self._delivery = delivery
        self._queue = queue
        self._clock = clock
        self._log = log
        shortages = Shortages(governor, mailboxes, schedule, log)
        self._clearance = Clearance(governor, mailboxes, schedule, shortages)
        self._upkeep = Upkeep(
            spool=spool,
            governor=governor,
            mailboxes=mailboxes,
            shortages=shortages,
            clock=clock,
            disk=disk,
            log=log,
            has_new_sign_in=has_new_sign_in,
        )
        self._lanes = {tag(address): address for address in addresses}
        self._flights: dict[int, Deferred[Any]] = {}  # by queue id
        self._asleep: list[tuple[float, int]] = []  # heap: when to look at a lane again
        self._until: dict[int, float] = {}  # lane to the time it sleeps until
        self._timer: IDelayedCall | None = None
        self._second: IDelayedCall | None = None
        self._writing: Deferred[None] | None = None
        self._scan_at = 0.0  # when the next look through the spool is due
        self._scan: Iterator[Entry] | None = None
        self._is_first_scan = True
        self._is_stopping = False

    def start(self) -> None:
        """Take up the queue where the last process left it."""
        self._upkeep.restore()
        self._look_through()
        self._second = self._clock.callLater(1, self._each_second)

    def configure(self, queue: Queue, addresses: Iterable[str]) -> None:
        """From now on these are the mailboxes, and this is when the spool is looked through."""
        self._queue = queue
        self._lanes = {tag(address): address for address in addresses}
        self._wake_all()
        self._turn(0.0)

    def accepted(self, entry: Entry) -> None:
        """A message has become durable; it may go.

        A look through the spool may have found it sooner, and then it is on its way already.
        """
        if entry.id not in self._flights:
            self._schedule.add(entry)
        self._turn(0.0)

    async def stop(self, seconds: float) -> None:
        """Start nothing more, and wait so long for what is in flight; then it is cut off.

        What was cut off stays in the spool as its last note on disk says.
        """
        self._is_stopping = True
        for call in (self._timer, self._second):
            if call is not None and call.active():
                call.cancel()
        if self._flights:
            landed = DeferredList([*self._flights.values()], consumeErrors=True)
            bound = self._clock.callLater(seconds, landed.cancel)
            await landed
            if bound.active():
                bound.cancel()
        if self._writing is not None:
            await self._writing
        await self._upkeep.write_down(save=True)

    @property
    def in_flight(self) -> int:
        """Messages being delivered now."""
        return len(self._flights)

    # -- the loop

    def _turn(self, delay: float) -> None:
        """Run the loop after `delay` seconds at the latest."""
        if self._is_stopping or not self._queue.delivery:
            return
        if self._timer is not None and self._timer.active():
            if self._timer.getTime() <= self._clock.seconds() + delay:
                return
            self._timer.reset(delay)
        else:
            self._timer = self._clock.callLater(delay, self._serve_all)

    def _serve_all(self) -> None:
        if self._spool.health.closed:
            return  # _each_second goes on when it opens
        now = self._clock.seconds()
        while self._asleep and self._asleep[0][0] <= now:
            at, lane = heappop(self._asleep)
            if self._until.get(lane) == at:
                self._wake(lane)
        for lane in self._schedule.mailboxes_ready(now):
            self._serve(lane, now)
        due = self._schedule.next_due(now)
        times = [at for at, _ in self._asleep[:1]] + ([] if due is None else [due])
        if times:
            self._turn(max(0.0, min(times) - now))

    def _serve(self, lane: int, now: float) -> None:
        """Start what one mailbox may send now, then let it sleep until it may send more."""
        mailbox = self._lanes.get(lane)
        if mailbox is None:
            self._serve_stranger(lane, now)
            return
        for _ in range(MOST_AT_ONCE):
            if len(self._flights) >= MOST_IN_FLIGHT:
                return  # goes on when one has landed
            start = self._clearance.begin(mailbox, now)
            if start > now:
                self._sleep(lane, start)
                return
            entry = self._schedule.take(lane, now)
            if entry is None:
                self._governor.end(mailbox)
                return
            self._start(entry, mailbox, self._mailboxes.enter(mailbox, now))
        self._turn(0.0)

    def _serve_stranger(self, lane: int, now: float) -> None:
        """Mail of a mailbox that is not configured: one message now and then says so."""
        entry = self._schedule.take(lane, now)
        if entry is not None:
            self._start(entry, "", [])
        self._sleep(lane, now + RETRY_DISK)

    def _start(self, entry: Entry, mailbox: str, probed: list[Stop]) -> None:
        flight = self._flights[entry.id] = Deferred.fromCoroutine(self._delivery.deliver(entry))
        flight.addErrback(self._failed, entry)
        flight.addCallback(self._landed, entry, mailbox, probed)
        flight.addErrback(lambda fault: _diagnostics.failure("dispatch", failure=fault))

    def _failed(self, fault: Failure, entry: Entry) -> None:
        """The disk failed, or something nobody foresaw: the message is looked at again."""
        if isinstance(fault.value, SpoolError):
            note = f"the spool failed ({fault.value.cause}); tried again in a minute"
            self._log.emit("delivery.postponed", "qmgr", entry.queue_id, level="error", note=note)
        else:
            _diagnostics.failure("{qid}: delivery failed", failure=fault, qid=entry.queue_id)
        self._clock.callLater(RETRY_DISK, self.accepted, entry)

    def _landed(self, entry: Entry | None, taken: Entry, mailbox: str, probed: list[Stop]) -> None:
        del self._flights[taken.id]
        if entry is not None:
            self._schedule.add(entry)
        if mailbox:
            self._governor.end(mailbox)
            self._mailboxes.leave(probed)
            self._wake(taken.mailbox)
        if probed:  # others may have waited for what this probe came to
            self._wake_all()
        self._turn(0.0)

    def _sleep(self, lane: int, until: float) -> None:
        self._schedule.pause(lane)
        if self._until.get(lane) != until:
            self._until[lane] = until
            if until < inf:
                heappush(self._asleep, (until, lane))

    def _wake(self, lane: int) -> None:
        self._until.pop(lane, None)
        self._schedule.resume(lane)

    def _wake_all(self) -> None:
        for lane in list(self._until):
            self._wake(lane)

    # -- reading the spool

    def _look_through(self) -> None:
        """Begin to read the names in the spool, unless that is under way."""
        self._scan_at = self._clock.seconds() + self._queue.queue_run_delay
        if self._scan is None:
            self._scan = self._spool.entries(State.INCOMING, State.DEFERRED)
            self._read_slice()

    def _read_slice(self) -> None:
        if self._scan is None or self._is_stopping:
            return
        try:
            entries = list(islice(self._scan, SLICE))
        except SpoolError as error:
            self._scan = None
            note = f"it cannot be read: {error.cause}; tried again"
            self._log.emit("spool.unreadable", "qmgr", level="error", note=note)
            return
        for entry in entries:
            if self._is_news(entry):
                self._schedule.add(entry)
        if not entries:
            self._scan, self._is_first_scan = None, False
            return
        self._turn(0.0)
        self._clock.callLater(0, self._read_slice)

    def _is_news(self, entry: Entry) -> bool:
        """Whether an entry found on disk may be taken up.

        What is in flight may not, nor what arrived a moment ago: it may not be acknowledged yet.
        At the start all is news, whatever the clock says of its arrival.
        """
        if entry.id in self._flights:
            return False
        is_old = entry.arrived_at < self._clock.seconds() - self._queue.queue_run_delay
        return self._is_first_scan or entry.state is State.DEFERRED or is_old

    # -- once a second

    def _each_second(self) -> None:
        writing = Deferred.fromCoroutine(self._keep_house(self._clock.seconds()))
        writing.addErrback(lambda fault: _diagnostics.failure("housekeeping", failure=fault))
        self._writing = writing.addCallback(self._next_second)

    def _next_second(self, _done: object) -> None:
        self._writing = None
        if not self._is_stopping:
            self._second = self._clock.callLater(1, self._each_second)

    async def _keep_house(self, now: float) -> None:
        if await self._upkeep.each_second():
            self._wake_all()
            self._turn(0.0)
        elif now >= self._scan_at and not self._spool.health.closed:
            self._look_through()
