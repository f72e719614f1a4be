"""Mail out, wired: from the spool to the way out (`way_out`), and what is told of mail that fails.

Failures: `Unusable` from the constructor, for a ledger that cannot be opened. None while it runs.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from m365gw.config.settings import Mailbox, Queue, Settings
from m365gw.directory.vault import Vault
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.microsoft.replies import Phase
from m365gw.relay.delivery.attempt import Attempts, without_token
from m365gw.relay.delivery.delivery import Delivery
from m365gw.relay.delivery.marks import Marks
from m365gw.relay.limits.governor import Governor
from m365gw.relay.limits.overview import Overview, overview
from m365gw.relay.queue.clock_watch import ClockWatch
from m365gw.relay.queue.dispatch import Dispatch
from m365gw.relay.queue.operations import Operations
from m365gw.relay.queue.search import Search
from m365gw.relay.reports.bounces import Bounces
from m365gw.relay.reports.delays import Delays
from m365gw.relay.reports.summaries import Summaries
from m365gw.relay.stops.mailboxes import Mailboxes
from m365gw.relay.stops.roster import accounts_of
from m365gw.relay.stops.stops import State
from m365gw.relay.threads import Threads
from m365gw.relay.tokens.failures import TokenUnavailable
from m365gw.relay.tokens.keep_alive import KeepAlive
from m365gw.service.way_out import WayOut
from m365gw.spool.group_sync import GroupSync
from m365gw.spool.ledger import LEDGER, Ledger
from m365gw.spool.names import Entry, tag
from m365gw.spool.schedule import RETURNS, Schedule
from m365gw.spool.spool import Spool
from m365gw.syncing import Syncing

_diagnostics = Logger()


class MailOut:
    """All of mail out. Built from the settings, started and stopped as one.

    `apply` gives it new settings while it runs. No delivery is cut off: one that is under way ends
    as it began, also for a mailbox that was removed. Mail of a removed mailbox is kept.
    """

    def __init__(
        self,
        settings: Settings,
        spool: Spool,
        vault: Vault,
        reactor: Any,
        log: EventLog,
        incidents: Incidents,
    ) -> None:
        self._reactor = reactor
        self._log = log
        self._spool = spool
        self.disk = Threads(reactor, 2, "disk")
        self._syncing = Syncing(reactor, GroupSync(data_only=True), self._in_thread)
        self.way = WayOut(settings, vault, reactor, log, incidents)
        self._keep_alive = KeepAlive(
            tokens=self.way.tokens,
            clock=reactor,
            failed=self._cannot_sign_in,
            refreshed=self._signs_in,
        )
        sharing = accounts_of(settings)
        ledger = Ledger(os.path.join(settings.spool_dir, LEDGER), spool.health)
        self.governor = Governor(settings.governor, ledger, sharing)
        self.mailboxes = Mailboxes(sharing, log, incidents)
        self.schedule = Schedule()
        self._bounces = self._made_bounces(settings)
        self._delivery = self._made_delivery(settings.queue)
        self._delays = Delays(self._delivery)
        self.dispatch = self._made_dispatch(settings, incidents)
        self._clock_watch = ClockWatch(reactor, log, self.dispatch.clock_was_set)
        self.operations = Operations(
            spool=spool,
            schedule=self.schedule,
            dispatch=self.dispatch,
            search=Search(spool=spool, disk=self.disk, clock=reactor),
            disk=self.disk,
            clock=reactor,
            log=log,
        )

    def _made_bounces(self, settings: Settings) -> Bounces:
        return Bounces(
            spool=self._spool,
            mailboxes=self.mailboxes,
            disk=self.disk,
            clock=self._reactor,
            log=self._log,
            hostname=settings.hostname,
            queue=settings.queue,
            accepted=self.accepted,
        )

    def _made_delivery(self, queue: Queue) -> Delivery:
        attempts = Attempts(
            spool=self._spool,
            sessions=self.way.exits,
            accounts=self.way.accounts,
            mailboxes=self.mailboxes,
            governor=self.governor,
            clock=self._reactor,
            mark=Marks(self._spool, self._syncing).mark,
        )
        return Delivery(
            spool=self._spool,
            attempts=attempts,
            governor=self.governor,
            mailboxes=self.mailboxes,
            bounces=self._bounces,
            summaries=Summaries(self._bounces, self._reactor, queue.report_limit),
            queue=queue,
            clock=self._reactor,
            log=self._log,
            chance=random.random,
        )

    def _made_dispatch(self, settings: Settings, incidents: Incidents) -> Dispatch:
        return Dispatch(
            spool=self._spool,
            schedule=self.schedule,
            governor=self.governor,
            mailboxes=self.mailboxes,
            delivery=self._delivery,
            queue=settings.queue,
            addresses=[mailbox.address for mailbox in settings.mailbox],
            clock=self._reactor,
            disk=self.disk,
            log=self._log,
            incidents=incidents,
            new_sign_ins=self.way.new_sign_ins,
        )

    def apply(self, settings: Settings) -> None:
        """Go on with new settings. It cannot fail."""
        wanted = {each.address for each in settings.mailbox}
        added = wanted - set(self.mailboxes.addresses)
        removed = set(self.mailboxes.addresses) - wanted
        changed = self.way.apply(settings, removed)
        sharing = accounts_of(settings)
        self.governor.configure(settings.governor, sharing)
        self.mailboxes.configure(sharing, changed, self._reactor.seconds())
        self._bounces.hostname = settings.hostname
        self._delivery.configure(settings.queue)
        self.dispatch.configure(settings.queue, self.mailboxes.addresses)
        for address in sorted(removed):
            self._say_removed(address)
        for address in sorted(added):
            self._hasten(address)

    def _hasten(self, address: str) -> None:
        """Mail that waited for a mailbox to be configured need not wait any longer."""
        if self.schedule.backlog(tag(address)):
            flushing = Deferred.fromCoroutine(self.operations.flush(address))
            flushing.addErrback(lambda fault: _diagnostics.failure("flush", failure=fault))

    def _cannot_sign_in(self, mailbox: Mailbox, problem: TokenUnavailable) -> None:
        """A mailbox without mail is stopped as if it had some, so that somebody is told."""
        now, reaction = self._reactor.seconds(), without_token(problem)
        self.mailboxes.answered(mailbox.address, "", Phase.AUTH, reaction, now)

    def _signs_in(self, mailbox: Mailbox) -> None:
        """The stop that was only about signing in is over."""
        if self.mailboxes.standing(mailbox.address).state is State.NEEDS_SIGNIN:
            self.mailboxes.passed(mailbox.address, "", Phase.MAIL, self._reactor.seconds())

    def _say_removed(self, address: str) -> None:
        count = self.schedule.backlog(tag(address))
        note = (
            "it is no longer configured. Its mail is kept and goes when it is configured again"
            f" ({count} {'message waits' if count == 1 else 'messages wait'})"
        )
        self._log.emit("mailbox.removed", "qmgr", level="warn", mailbox=address, note=note)

    def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return Deferred.fromCoroutine(self.disk.call(function, *arguments))

    def accepted(self, entry: Entry) -> None:
        """A message has become durable, and may go."""
        self.dispatch.accepted(entry)

    def start(self) -> None:
        """Take up the queue, and begin to look for what waits too long in it."""
        self.dispatch.start()
        self._delays.start()
        self._clock_watch.start()
        self._keep_alive.start()

    @property
    def without_mailbox(self) -> int:
        """Messages that wait for a mailbox which is not configured (any more)."""
        known = [RETURNS, *(tag(address) for address in self.mailboxes.addresses)]
        return len(self.schedule) - sum(map(self.schedule.backlog, known))

    def overview(self) -> list[Overview]:
        """Every mailbox: its state, its budget, what waits for it, and its exits."""
        now = self._reactor.seconds()
        return [
            evolve(each, exits=self.way.exits.shown(self.way.accounts[each.address]))
            for each in overview(self.mailboxes, self.governor, self.schedule, now)
        ]

    def is_drained(self, until: float) -> bool:
        """Whether nothing is in flight, and nothing that is due now could go before `until`."""
        return not self.dispatch.in_flight and not any(
            self.schedule.ready(tag(address)) and self._goes_at(address) <= until
            for address in self.mailboxes.addresses
        )

    def _goes_at(self, address: str) -> float:
        now = self._reactor.seconds()
        paced = now + self.governor.wait(address).seconds
        return float(max(self.mailboxes.may_send(address, now), paced))

    async def stop(self, seconds: float) -> None:
        """Wait so long for the deliveries in flight, then let go of connections and threads."""
        self._clock_watch.stop()
        self._keep_alive.stop()
        await self._delays.stop()
        await self.dispatch.stop(seconds)
        await self.way.stop()
        self._syncing.close()
        await self.disk.stop()
        self.governor.ledger.close()
