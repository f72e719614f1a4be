"""No mail bomb: who would get too many reports gets some one by one, and of the rest one summary.

One address is sent `report_limit` reports in an hour. What fails beyond that waits, undecided, for
the next summary to its sender, five minutes later (`gather`). Then it is noted and told as by a
report: first each message learns the id of the summary, then that is made durable, then the
failures are noted and the summary goes. A crash in between leaves messages that are tried, and
fail, once more; at the worst a summary is made twice, which the log says of each of them
(`recovery`). Nothing is let go of untold.

Failures: none leave here. A summary the disk did not take is logged; its messages come due again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from m365gw.relay.delivery.damage import tell_corrupt
from m365gw.relay.delivery.delivery_log import log_line
from m365gw.relay.delivery.recovery import noted
from m365gw.relay.reports.bounces import Bounces, Case
from m365gw.smtp.reports.facts import Kind
from m365gw.smtp.reports.summary import Line, compose_summary
from m365gw.spool.health import Corrupt, Gone, SpoolError
from m365gw.spool.message import Message
from m365gw.spool.names import Entry
from m365gw.spool.outcomes import DelayWarning

HOUR = 3600.0
GATHERING = 300.0  # seconds from the first report too many until the summary
MARGIN = 120.0  # seconds after the summary until its messages are looked at again
AT_ONCE = 50  # messages opened in one turn of the reactor
MOST = 5000  # messages of one summary; what is more waits for the next

_diagnostics = Logger()


@frozen
class Owed:
    """One message of a summary, under the name it has in the spool, and what is told of it."""

    entry: Entry
    cases: tuple[Case, ...]

    @property
    def line(self) -> Line:
        """The message as a summary tells of it."""
        told = [case.told for case in self.cases]
        addresses = tuple(one.recipient.address for one in told)
        return Line(self.entry.queue_id, addresses, told[0].reply, told[0].explanation)


@define
class Summaries:
    """Counts reports to each address, and makes summaries of what is too much."""

    bounces: Bounces
    clock: IReactorTime
    limit: int  # reports to one address in an hour
    # By address: the times of its reports; what waits for its next summary; when that is due.
    _sent: dict[str, deque[float]] = field(factory=dict, init=False)
    _gathered: dict[str, list[Owed]] = field(factory=dict, init=False)
    _due: dict[str, float] = field(factory=dict, init=False)

    def has_room(self, addressee: str) -> bool:
        """Whether one more report may go to this address now."""
        now = self.clock.seconds()
        sent = self._sent.get(addressee, deque())
        while sent and sent[0] <= now - HOUR:
            sent.popleft()
        return len(sent) < self.limit

    def count(self, addressee: str) -> None:
        """A report to this address was made."""
        now = self.clock.seconds()
        if len(self._sent) > 1000:  # forget whom nothing was sent to for long
            sent = self._sent.items()
            self._sent = {who: times for who, times in sent if times and times[-1] > now - HOUR}
        self._sent.setdefault(addressee, deque()).append(now)

    def gather(self, addressee: str) -> float:
        """When a message that failed too many is to wait until; its summary is made before."""
        if addressee not in self._due:
            self._due[addressee] = self.clock.seconds() + GATHERING
            self._gathered[addressee] = []
            self.clock.callLater(GATHERING, self._tell_gathered, addressee)
        return self._due[addressee] + MARGIN

    def add(self, addressee: str, owed: Owed) -> None:
        """A message that was told to wait has come to rest in the spool."""
        self._gathered.setdefault(addressee, []).append(owed)

    def _tell_gathered(self, addressee: str) -> None:
        del self._due[addressee]
        gathered = self._gathered.pop(addressee)
        told = Deferred.fromCoroutine(self.tell(Kind.FAILED, addressee, gathered))
        told.addErrback(lambda fault: _diagnostics.failure("summary", failure=fault))

    async def tell(self, kind: Kind, addressee: str, owed: Sequence[Owed]) -> None:
        """One mail about all of them, of at most `MOST`; what has moved since is left out."""
        try:
            await self._tell(kind, addressee, owed[:MOST])
        except SpoolError as error:
            note = f"no summary could be made ({error.cause}); it is made later"
            self.bounces.log.emit("report.postponed", "bounce", level="error", note=note)

    async def _tell(self, kind: Kind, addressee: str, owed: Sequence[Owed]) -> None:
        first = next(filter(None, map(self._claimed_once, owed)), None)
        if first is None:
            return
        draft, mailbox = self.bounces.begin(addressee, first)
        told: list[Owed] = []
        for number, one in enumerate(owed):
            with self._claimed(one) as message:
                if message is not None:
                    self._note(kind, message, one, draft.queue_id)
                    told.append(one)
            await self._breathe(number)
        content = compose_summary(
            kind,
            [one.line for one in told],
            hostname=self.bounces.hostname,
            sender=mailbox,
            addressee=addressee,
            queue_id=draft.queue_id,
            at=self.bounces.now,
        )
        name = f"summary of {len(told)} messages for <{addressee}>"
        report = await self.bounces.end(draft, content, name)
        for number, one in enumerate(told):
            with self._claimed(one) as message:
                if message is not None:
                    self._settle(kind, message, one, draft.queue_id)
            await self._breathe(number)
        self.bounces.accepted(report)

    def _claimed_once(self, owed: Owed) -> Message | None:
        """A message to take the mailbox from; closed already."""
        with self._claimed(owed) as message:
            return message

    @contextmanager
    def _claimed(self, owed: Owed) -> Iterator[Message | None]:
        """The message, or None when it is no longer there."""
        message = None
        try:
            with suppress(Gone):
                message = self.bounces.spool.claim(owed.entry)
        except Corrupt as damage:
            tell_corrupt(self.bounces.log, owed.entry, damage)
        try:
            yield message
        finally:
            if message is not None:
                message.close()

    def _note(self, kind: Kind, message: Message, owed: Owed, report: str) -> None:
        if kind is Kind.DELAYED:
            message.warn(DelayWarning(report, is_made=False))
            return
        verdicts = noted([case.verdict(kind) for case in owed.cases], report)
        self.bounces.spool.settle(message, verdicts, self.clock.seconds())

    def _settle(self, kind: Kind, message: Message, owed: Owed, report: str) -> None:
        if kind is Kind.DELAYED:
            message.warn(DelayWarning(report, is_made=True))
            return
        verdicts = [case.verdict(kind) for case in owed.cases]
        self.bounces.spool.settle(message, verdicts, self.clock.seconds())
        for verdict in verdicts:
            words = "told in a summary, as its sender has had many reports"
            log_line(self.bounces.log, message, verdict.recipient, "bounced", verdict.reply, words)

    async def _breathe(self, number: int) -> None:
        """Let others have their turn now and then."""
        if number % AT_ONCE == AT_ONCE - 1:
            turn: Deferred[None] = Deferred()
            self.clock.callLater(0, turn.callback, None)
            await turn
