"""What mail out keeps up beside delivering: removals and budgets made durable, mailbox states
written down, new sign-ins noticed. While the disk of the spool has failed (`disk_watch`), nothing.

`each_second` is called once a second. What stops mailboxes is written when it changed, and each
minute anyhow: the time of the last note tells the next process how long there was no service,
which ages no message. Nor does the time the machine slept, or the clock was set forward by.
Failures: none leave here; they are logged and tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.relay.limits.governor import Governor
from m365gw.relay.limits.shortages import Shortages
from m365gw.relay.queue.disk_watch import DiskWatch
from m365gw.relay.stops import kept
from m365gw.relay.stops.mailboxes import Mailboxes
from m365gw.relay.threads import Calls
from m365gw.spool.health import SpoolError
from m365gw.spool.spool import Spool

SAVE_ANYHOW = 60.0  # seconds
SYNC_EVERY = 5.0  # seconds between syncs of the budgets: what a power loss may forget of them
LOOK_EVERY = 5.0  # seconds between looks for a new sign-in of a mailbox that may not send
LONGEST_GAP = 1800.0  # seconds; after a longer one the machine slept, or its clock was set


@define(kw_only=True)
class Upkeep:
    """Everything of mail out that is done by the second."""

    spool: Spool
    governor: Governor
    mailboxes: Mailboxes
    shortages: Shortages
    clock: IReactorTime
    disk: Calls
    log: EventLog
    incidents: Incidents
    new_sign_ins: Callable[[Sequence[str]], Sequence[str]]  # of these mailboxes; blocking
    _disk_watch: DiskWatch = field(init=False)
    _seen_at: float = inf
    _saved_at: float = 0.0
    _synced_at: float = 0.0
    _looked_at: float = 0.0
    _obstacle: str = ""  # why the spool could not be written, as was said

    def __attrs_post_init__(self) -> None:
        self._disk_watch = DiskWatch(
            spool=self.spool,
            ledger=self.governor.ledger,
            clock=self.clock,
            disk=self.disk,
            log=self.log,
            incidents=self.incidents,
        )

    def restore(self) -> None:
        """What stopped mailboxes when the last process ended. Without it all are ready."""
        now = self.clock.seconds()
        try:
            kept.restore(self.spool, self.mailboxes, now)
        except (SpoolError, kept.Unreadable) as error:
            note = (
                f"{kept.STATE_FILE} in the spool cannot be used ({type(error).__name__}):"
                " mailboxes that were held are tried again"
            )
            self.log.emit("mailboxes.lost", "qmgr", level="warn", note=note)

    async def each_second(self) -> bool:
        """What is due now. True: mail that had to wait may go."""
        now = self.clock.seconds()
        if now - self._seen_at > LONGEST_GAP:
            self.mailboxes.excuse(self._seen_at, now)
        self._seen_at = now
        if self.spool.health.closed:
            return await self._disk_watch.look()
        is_time = abs(now - self._saved_at) >= SAVE_ANYHOW
        await self.write_down(save=self.mailboxes.has_news or is_time)
        return await self._look_for_sign_ins(now)

    async def write_down(self, *, save: bool) -> None:
        """Make removals and budgets durable; with `save` also the states of mailboxes."""
        try:
            self.shortages.look(self.clock.seconds())
            if self.spool.has_unsynced:
                await self.disk.call(self.spool.sync_removals)
            await self._sync_budgets(now := self.clock.seconds())
            if save:
                self.mailboxes.has_news, self._saved_at = False, now
                self.mailboxes.forget(now)
                await self.disk.call(kept.write, self.spool, kept.octets(self.mailboxes, now))
                self.governor.ledger.note_time()
        except SpoolError as error:
            self.mailboxes.has_news = True
            self._say_unwritable(str(error.cause))
        else:
            if save and self._obstacle:
                self._obstacle = ""
                self.log.emit("spool.writable", "qmgr", note="the spool can be written again")

    def _say_unwritable(self, obstacle: str) -> None:
        """Once, as it is tried every few seconds."""
        if obstacle != self._obstacle:
            self._obstacle = obstacle
            note = f"the spool cannot be written, and is tried again: {obstacle}"
            self.log.emit("spool.unwritable", "qmgr", level="error", note=note)

    async def _sync_budgets(self, now: float) -> None:
        ledger = self.governor.ledger
        if ledger.has_unsynced and abs(now - self._synced_at) >= SYNC_EVERY:
            self._synced_at = now
            await self.disk.call(ledger.sync)

    async def _look_for_sign_ins(self, now: float) -> bool:
        """Let mailboxes try again that somebody has signed in for, by the command."""
        if abs(now - self._looked_at) < LOOK_EVERY:
            return False
        self._looked_at = now
        boxes = self.mailboxes
        waiting = [each for each in boxes.addresses if boxes.may_send(each, now) > now]
        found = await self.disk.call(self.new_sign_ins, waiting) if waiting else ()
        for mailbox in found:
            self.mailboxes.probe(mailbox, now)
        return bool(found)
