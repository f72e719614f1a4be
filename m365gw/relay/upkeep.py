"""What mail out keeps up beside delivering: removals made durable, budgets and mailbox states
written down, a failed disk probed until it can be trusted again, new sign-ins noticed.

`each_second` is called once a second. Budgets are written every few seconds when something was
sent, and each minute anyhow: the time of the last note tells the next process how long there was
no service, which ages no message. Nor does the time the machine slept, or the clock was set
forward by. Failures: none leave here; they are logged and tried again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from math import inf

from attrs import define
from twisted.internet.interfaces import IReactorTime

from m365gw.events import EventLog
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.relay.governor import Governor
from m365gw.relay.incidents import tell_closed, tell_opened
from m365gw.relay.mailboxes import Mailboxes
from m365gw.relay.stops import State
from m365gw.relay.threads import Calls
from m365gw.spool.health import SpoolError
from m365gw.spool.spool import Spool

STATE_FILE = "budgets.json"
SAVE_EVERY = 5.0  # seconds, when something was sent
SAVE_ANYHOW = 60.0
PROBE_EVERY = 5.0  # seconds between probes of a disk that failed
LOOK_EVERY = 5.0  # seconds between looks for a new sign-in of a mailbox that may not send
LONGEST_GAP = 1800.0  # seconds; after a longer one the machine slept, or its clock was set


@define(kw_only=True)
class Upkeep:
    """Set `has_news` when something happened that is worth writing down."""

    spool: Spool
    governor: Governor
    mailboxes: Mailboxes
    clock: IReactorTime
    disk: Calls
    log: EventLog
    has_new_sign_in: Callable[[str], bool]  # whether somebody signed in for a mailbox; blocking
    has_news: bool = False
    _seen_at: float = inf
    _saved_at: float = 0.0
    _looked_at: float = 0.0
    _probed_at: float = 0.0
    _incident: Diagnosis | None = None
    _failed_at: float = 0.0

    def restore(self) -> None:
        """Budgets and mailbox states of the last process. Without them: no credit, all ready."""
        now = self.clock.seconds()
        try:
            data = self.spool.read_state(STATE_FILE)
            if data is None:
                return
            state = json.loads(data)
            self.governor.restore(state["governor"], now)
            self.mailboxes.restore(state["mailboxes"], now)
        except (SpoolError, ValueError, TypeError, LookupError, AttributeError) as error:
            note = (
                f"{STATE_FILE} in the spool cannot be used ({type(error).__name__}): budgets begin"
                " anew, and Microsoft may refuse some mail until they are right again"
            )
            self.log.emit("budgets.lost", "qmgr", level="warn", note=note)

    async def each_second(self) -> bool:
        """What is due now. True: mail that had to wait may go."""
        now = self.clock.seconds()
        if now - self._seen_at > LONGEST_GAP:
            self.mailboxes.excuse(self._seen_at, now)
        self._seen_at = now
        if self.spool.health.closed:
            self._open_incident()
            return await self._probe(now)
        since = now - self._saved_at
        await self.write_down(save=since >= (SAVE_EVERY if self.has_news else SAVE_ANYHOW))
        return await self._look_for_sign_ins(now)

    async def write_down(self, *, save: bool) -> None:
        """Make removals durable; with `save` also budgets and mailbox states."""
        try:
            if self.spool.has_unsynced:
                await self.disk.call(self.spool.sync_removals)
            if save:
                self.has_news, self._saved_at = False, self.clock.seconds()
                self.mailboxes.forget(self._saved_at)
                state = {
                    "governor": self.governor.state(),
                    "mailboxes": self.mailboxes.state(self._saved_at),
                }
                data = json.dumps(state).encode("ascii")
                await self.disk.call(self.spool.write_state, STATE_FILE, data)
        except SpoolError as error:
            self.has_news = True
            note = f"the spool cannot be written: {error.cause}"
            self.log.emit("spool.unwritable", "qmgr", level="error", note=note)

    async def _look_for_sign_ins(self, now: float) -> bool:
        """Let mailboxes try again that somebody has signed in for, by the command."""
        if abs(now - self._looked_at) < LOOK_EVERY:
            return False
        self._looked_at = now
        found = False
        for mailbox in self.mailboxes.addresses:
            is_ready = self.mailboxes.standing(mailbox).state is State.READY
            if not is_ready and await self.disk.call(self.has_new_sign_in, mailbox):
                self.mailboxes.probe(mailbox, now)
                found = True
        return found

    async def _probe(self, now: float) -> bool:
        if abs(now - self._probed_at) < PROBE_EVERY:
            return False
        self._probed_at = now
        is_good = await self.disk.call(self.spool.probe)
        if is_good and self._incident is not None:
            tell_closed(self.log, self._incident, now - self._failed_at)
            self._incident = None
        return is_good

    def _open_incident(self) -> None:
        """One incident while the health gate is closed, whatever else fails meanwhile."""
        if self._incident is None:
            self._incident = Diagnosis(
                "spool-failed",
                "The disk of the spool failed; no mail is taken or sent.",
                f"The system says: {self.spool.health.cause}.",
                "Look at the disk (dmesg, smartctl, df -h). It goes on by itself a minute after the"
                " disk works again.",
                "operator",
            )
            self._failed_at = self.clock.seconds()
            tell_opened(self.log, self._incident, level="error")
