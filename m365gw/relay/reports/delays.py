"""Warnings: a sender is told, once for each message, that it still waits, why, and for how long.

Off unless `[queue] delay_warning_time` is set. Mail of a stopped mailbox is not tried, so nothing
that happens to a message would bring its warning about: instead the names in the spool, which tell
when each message came, are looked through now and then, and a message is opened once, when its
time has come. Those in delivery at that moment are looked at the next time. Of very many whose
time has come the oldest are looked at first, so many at a time as a summary can tell of.

The message notes which report warns its sender before that is made and again when it is durable
(`recovery`), so a crash neither loses a warning nor repeats one for ever. To one address go
`report_limit` warnings in an hour; what is more is told in one summary.

Failures: none leave here; what cannot be read or noted now is looked at the next time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from heapq import nsmallest
from itertools import islice
from math import ceil
from operator import attrgetter

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.replies import diagnose
from m365gw.relay.delivery.damage import tell_corrupt
from m365gw.relay.delivery.delivery import Delivery
from m365gw.relay.reports.addressees import may_be_warned, wants
from m365gw.relay.reports.bounces import Case
from m365gw.relay.reports.summaries import MOST, Owed
from m365gw.smtp.reports.facts import Kind, Told
from m365gw.smtp.verdict import Outcome
from m365gw.spool.health import Corrupt, Gone, SpoolError
from m365gw.spool.message import Message
from m365gw.spool.names import Entry, State
from m365gw.spool.outcomes import DelayWarning, RecipientRecord

SLICE = 500  # names read in one turn of the reactor
OPENED = 50  # messages opened in one turn
BEHIND = 1.0  # seconds between two looks while there is more than `MOST`
SETTINGS_SEEN = 60.0  # seconds until it is noticed that warnings are wanted now

WAITS_ITS_TURN = Diagnosis(
    "waits-its-turn",
    "The message waits its turn.",
    "Microsoft 365 takes only so many messages of one mailbox in a minute and in a day, and others "
    "are before it.",
    "Nothing: it goes as soon as it may. If this happens often, more mailboxes would help.",
    "nobody",
)
SENT_AGAIN_SOON = Diagnosis(
    "uncertain",
    "It is not known whether Microsoft took the message: the connection ended before the answer.",
    "The recipient may have it already. It is sent again, so it may arrive twice.",
    "Nothing. Ask the recipient if it is urgent.",
    "nobody",
)

_OPEN = frozenset({Outcome.PENDING, Outcome.UNCERTAIN})

_diagnostics = Logger()


@define
class Delays:
    """Looks for mail that waits too long. `start` it once, `stop` it before the spool closes."""

    delivery: Delivery
    _seen: int = field(default=-1, init=False)  # all messages up to this one were looked at,
    _again: set[int] = field(factory=set, init=False)  # but these
    _is_behind: bool = field(default=False, init=False)  # more could be looked at, at once
    _timer: IDelayedCall | None = field(default=None, init=False)
    _look: Deferred[None] | None = field(default=None, init=False)
    _is_stopping: bool = field(default=False, init=False)

    def start(self) -> None:
        """Begin; while warnings are not wanted nothing is looked at."""
        self._timer = self.delivery.clock.callLater(0, self._begin)

    async def stop(self) -> None:
        """Begin nothing more, and wait for what is being written."""
        self._is_stopping = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._look is not None:
            await self._look

    def _begin(self) -> None:
        if not self.delivery.queue.delay_warning_time:
            self._timer = self.delivery.clock.callLater(SETTINGS_SEEN, self._begin)
            return
        self._look = Deferred.fromCoroutine(self.look())
        self._look.addErrback(lambda fault: _diagnostics.failure("delays", failure=fault))
        self._look.addCallback(self._plan)

    def _plan(self, _done: object) -> None:
        self._look = None
        if not self._is_stopping:
            queue = self.delivery.queue
            pause = min(queue.queue_run_delay, max(1.0, queue.delay_warning_time / 4))
            pause = min(pause, BEHIND) if self._is_behind else pause
            self._timer = self.delivery.clock.callLater(pause, self._begin)

    async def look(self) -> None:
        """Look through the names once, and warn whom the oldest that are due concern."""
        again = self._again
        crowd: dict[str, list[Owed]] = {}
        try:
            most = MOST + len(again)
            due = await self._due(most)
            is_all = len(due) < most
            self._again = set() if is_all else again.difference(entry.id for entry in due)
            for number, entry in enumerate(due, 1):
                if self._is_stopping:
                    return
                await self._consider(entry, crowd)
                if number % OPENED == 0:
                    await self._breathe()
        except SpoolError:
            self._again |= again
            return  # the names cannot be read now; nothing is taken as seen
        if due:
            self._seen = max(self._seen, due[-1].id)
        self._is_behind = not is_all and not crowd
        for addressee, owed in crowd.items():
            await self._sum_up(addressee, owed)

    async def _due(self, most: int) -> list[Entry]:
        """The oldest whose time has come and that were not looked at, at most so many."""
        until = self.delivery.clock.seconds() - self.delivery.queue.delay_warning_time
        found: list[Entry] = []
        entries = self.delivery.spool.entries(State.INCOMING, State.DEFERRED)
        while (names := list(islice(entries, SLICE))) and not self._is_stopping:
            found += (
                entry
                for entry in names
                if entry.arrived_at <= until and (entry.id > self._seen or entry.id in self._again)
            )
            if len(found) > most:
                found = nsmallest(most, found, key=attrgetter("id"))
            await self._breathe()
        return sorted(found, key=attrgetter("id"))

    async def _sum_up(self, addressee: str, owed: list[Owed]) -> None:
        self._again.update(one.entry.id for one in owed)  # then those that were told are known
        await self.delivery.summaries.tell(Kind.DELAYED, addressee, owed)

    async def _consider(self, entry: Entry, crowd: dict[str, list[Owed]]) -> None:
        """Warn the sender of one message, now or together with others; or see that none is due."""
        if self.delivery.is_carried(entry.id):
            self._again.add(entry.id)
            return
        try:
            message = self.delivery.spool.claim(entry)
        except Corrupt as damage:
            tell_corrupt(self.delivery.log, entry, damage)
            return
        except (Gone, SpoolError):
            self._again.add(entry.id)  # it has moved since its name was read
            return
        try:
            await self._warn(message, crowd)
        except (Corrupt, SpoolError):
            self._again.add(entry.id)
        finally:
            message.close()

    async def _warn(self, message: Message, crowd: dict[str, list[Owed]]) -> None:
        if self.delivery.recovery.is_warned(message):
            return
        cases = tuple(self._cases(message))
        if not cases or not may_be_warned(message):
            return
        addressee = message.envelope.sender
        if not self.delivery.summaries.has_room(addressee):
            crowd.setdefault(addressee, []).append(Owed(message.entry, cases))
            return
        until = ceil(self.delivery.retry_until(message, self.delivery.clock.seconds()))
        report = await self.delivery.bounces.report(Kind.DELAYED, message, cases, until)
        if report is not None:
            message.warn(DelayWarning(report.queue_id, is_made=True))
            self.delivery.summaries.count(addressee)
            self.delivery.recovery.released.add(report.id)
            self.delivery.bounces.accepted(report)

    def _cases(self, message: Message) -> list[Case]:
        """The recipients that wait and whose delay may be told."""
        found = []
        for place, record in enumerate(message.recipients):
            if record.outcome in _OPEN and wants(Kind.DELAYED, record.recipient):
                # The spool keeps since when an answer is given, not when it was given last.
                is_known = record.at and message.entry.attempts <= 1
                tried_at = datetime.fromtimestamp(record.at, UTC) if is_known else None
                diagnosis = self._cause(message, record)
                told = Told(record.recipient, record.reply, diagnosis, tried_at=tried_at)
                found.append(Case(place, told))
        return found

    def _cause(self, message: Message, record: RecipientRecord) -> Diagnosis:
        """Why a recipient waits: what stops its mailbox or sender, or else what was answered."""
        now, mailbox = self.delivery.clock.seconds(), message.origin.mailbox
        sender = message.envelope.sender
        if mailbox not in self.delivery.mailboxes:
            return self.delivery.mailboxes.missing(mailbox, now)
        stopped = self.delivery.mailboxes.standing(mailbox).diagnosis
        stopped = stopped or self.delivery.mailboxes.held_sender(mailbox, sender)
        if stopped is not None:
            return stopped
        if record.outcome is Outcome.UNCERTAIN:
            return SENT_AGAIN_SOON
        if not record.at:
            return WAITS_ITS_TURN
        return diagnose(record.reply).about(mailbox=mailbox, sender=sender)

    async def _breathe(self) -> None:
        turn: Deferred[None] = Deferred()
        self.delivery.clock.callLater(0, turn.callback, None)
        await turn
