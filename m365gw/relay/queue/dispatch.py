"""The loop of mail out: which message goes when.

Ready mailboxes are served as far as the governor and their state allow; a mailbox that may not
send sleeps until it may. Messages that are to be returned to their senders need neither and are
served beside them. Everything runs by one timer, so a quiet queue costs nothing and a full one no
more than a busy one. What enters the schedule comes by `take_up`, where operators' wishes are
looked up.

While the health gate of the spool is closed nothing is delivered. `stop` lets what is in flight
come to its end, within a bound.

Failures: none leave here. A delivery that fails is logged, its message tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from m365gw.config.settings import Queue
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.relay.delivery.delivery import Delivery
from m365gw.relay.limits.clearance import Clearance
from m365gw.relay.limits.governor import Governor
from m365gw.relay.limits.shortages import Shortages
from m365gw.relay.queue.flights import Flights, Landing
from m365gw.relay.queue.naps import Naps
from m365gw.relay.queue.survey import Survey
from m365gw.relay.queue.upkeep import Upkeep
from m365gw.relay.queue.wishes import Wishes
from m365gw.relay.stops.mailboxes import Mailboxes
from m365gw.relay.stops.stops import Stop
from m365gw.relay.threads import Calls
from m365gw.spool.health import SpoolError
from m365gw.spool.names import Entry, State, tag
from m365gw.spool.schedule import RETURNS, Schedule
from m365gw.spool.spool import Spool

MOST_AT_ONCE = 100  # messages one mailbox starts in one turn
MOST_IN_FLIGHT = 1000  # each has a file and a socket open
MOST_RETURNS = 20  # messages being returned at a time
RETRY_DISK = 60.0  # seconds until a message the disk failed is looked at again

_GOING = (State.INCOMING, State.DEFERRED)

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
        incidents: Incidents,
        new_sign_ins: Callable[[Sequence[str]], Sequence[str]],
    ) -> None:
        self._spool = spool
        self._schedule = schedule
        self._governor = governor
        self._mailboxes = mailboxes
        self._queue = queue
        self._clock = clock
        shortages = Shortages(governor, mailboxes, schedule, log)
        self._clearance = Clearance(governor, mailboxes, schedule, shortages)
        self.flights = Flights(delivery=delivery, clock=clock, log=log)
        self.wishes = Wishes(spool=spool, disk=disk, log=log)
        self._survey = Survey(
            spool=spool, clock=clock, log=log, every=queue.queue_run_delay, found=self._found
        )
        self._upkeep = Upkeep(
            spool=spool,
            governor=governor,
            mailboxes=mailboxes,
            shortages=shortages,
            clock=clock,
            disk=disk,
            log=log,
            incidents=incidents,
            new_sign_ins=new_sign_ins,
        )
        self._lanes = {tag(address): address for address in addresses}
        self._returning = 0  # messages being returned
        self._naps = Naps(schedule)
        self._timer: IDelayedCall | None = None
        self._second: IDelayedCall | None = None
        self._writing: Deferred[None] | None = None
        self.is_stopping = False

    def start(self) -> None:
        """Take up the queue where the last process left it."""
        self._upkeep.restore()
        self.wishes.restore()
        self._survey.begin()
        self._second = self._clock.callLater(1, self._each_second)

    def configure(self, queue: Queue, addresses: Iterable[str]) -> None:
        """From now on these are the mailboxes, and this is when the spool is looked through."""
        self._queue = queue
        self._lanes = {tag(address): address for address in addresses}
        self._survey.every = queue.queue_run_delay
        self._naps.end_all()
        self.turn()

    def accepted(self, entry: Entry) -> None:
        """A message has become durable; it may go."""
        self.take_up(entry)
        self.turn()

    def take_up(self, entry: Entry) -> None:
        """A message is to go, at the next `turn`, unless an operator wants something else of it.

        A look through the spool may have found it sooner, and then it is on its way already.
        """
        if entry.id in self.flights:
            return
        rests = self.wishes.grant(entry) if entry.id in self.wishes else entry
        if rests is not None and rests.state in _GOING:
            self._schedule.add(rests)

    def clock_was_set(self, shift: float) -> None:
        """The clock of the machine was set by so many seconds: nobody sleeps longer for it."""
        self._mailboxes.clock_was_set(shift)
        self._naps.end_all()
        self.turn()

    def probe(self, mailbox: str) -> None:
        """What stops this mailbox, or ("") any, may be mended: the next message finds out."""
        now = self._clock.seconds()
        for address in self._lanes.values():
            if mailbox.casefold() in ("", address.casefold()):
                self._mailboxes.probe(address, now)
        self._naps.end_all()
        self.turn()

    async def stop(self, seconds: float) -> None:
        """Start nothing more, and wait so long for what is in flight; then it is cut off.

        What was cut off stays in the spool as its last note on disk says.
        """
        self.is_stopping = True
        self._survey.stop()
        for call in (self._timer, self._second):
            if call is not None and call.active():
                call.cancel()
        await self.flights.settled(seconds)
        if self._writing is not None:
            await self._writing
        await self._keep_wishes()
        await self._upkeep.write_down(save=True)

    @property
    def in_flight(self) -> int:
        """Messages being delivered now."""
        return len(self.flights)

    # -- the loop

    def turn(self, delay: float = 0.0) -> None:
        """Run the loop after `delay` seconds at the latest."""
        if self.is_stopping or not self._queue.delivery:
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
        self._naps.end_due(now)
        for lane in self._schedule.mailboxes_ready(now):
            self._serve(lane, now)
        ahead = (self._schedule.next_due(now), self._naps.next_end)
        times = [at for at in ahead if at is not None]
        if times:
            self.turn(max(0.0, min(times) - now))

    def _serve(self, lane: int, now: float) -> None:
        """Start what one mailbox may send now, then let it sleep until it may send more."""
        if lane == RETURNS:
            self._serve_returns(now)
            return
        mailbox = self._lanes.get(lane)
        if mailbox is None:
            self._serve_stranger(lane, now)
            return
        for _ in range(MOST_AT_ONCE):
            if len(self.flights) >= MOST_IN_FLIGHT:
                return  # goes on when one has landed
            start = self._clearance.begin(mailbox, now)
            if start > now:
                self._naps.begin(lane, start)
                return
            entry = self._schedule.take(lane, now)
            if entry is None:
                self._governor.end(mailbox)
                return
            self._start(entry, mailbox, self._mailboxes.enter(mailbox, now))
        self.turn()

    def _serve_returns(self, now: float) -> None:
        """Return to their senders what an operator has given up."""
        while self._returning < MOST_RETURNS:
            entry = self._schedule.take(RETURNS, now)
            if entry is None:
                return
            self._returning += 1
            self._start(entry, "", [])

    def _serve_stranger(self, lane: int, now: float) -> None:
        """Mail of a mailbox that is not configured: one message now and then says so."""
        entry = self._schedule.take(lane, now)
        if entry is not None:
            self._start(entry, "", [])
        self._naps.begin(lane, now + RETRY_DISK)

    def _start(self, entry: Entry, mailbox: str, probed: list[Stop]) -> None:
        self.flights.start(entry, lambda landing: self._landed(landing, mailbox, probed))

    def _landed(self, landing: Landing, mailbox: str, probed: list[Stop]) -> None:
        taken = landing.taken
        self._returning -= taken.is_expired
        if landing.has_failed:
            self._clock.callLater(RETRY_DISK, self.accepted, taken)
        elif landing.rests is not None:
            self.take_up(landing.rests)
        elif not self.is_stopping:  # then it may just have been cut off
            self.wishes.miss(taken)
        if mailbox:
            self._governor.end(mailbox)
            self._mailboxes.leave(probed)
            self._naps.end(taken.mailbox)
        if probed:  # others may have waited for what this probe came to
            self._naps.end_all()
        self.turn()

    def _found(self, entries: list[Entry]) -> None:
        """A slice of what waits in the spool; an empty one when all of it was read."""
        for entry in entries:
            self.take_up(entry)
        if entries:
            self.turn()
        elif self._survey.is_first:  # what the last process left to do is done
            self.wishes.drop_all_but(self.flights)

    # -- once a second

    def _each_second(self) -> None:
        writing = Deferred.fromCoroutine(self._keep_house(self._clock.seconds()))
        writing.addErrback(lambda fault: _diagnostics.failure("housekeeping", failure=fault))
        self._writing = writing.addCallback(self._next_second)

    def _next_second(self, _done: object) -> None:
        self._writing = None
        if not self.is_stopping:
            self._second = self._clock.callLater(1, self._each_second)

    async def _keep_house(self, now: float) -> None:
        await self._keep_wishes()
        if await self._upkeep.each_second():
            self._naps.end_all()
            self.turn()
        if self._survey.is_due:
            self._survey.begin()

    async def _keep_wishes(self) -> None:
        with suppress(SpoolError):  # tried again in a second; a failed disk is told elsewhere
            await self.wishes.write_down()
