"""What a sender is told after an attempt: of recipients that failed, and of those passed on.

What is promised: a recipient has failed only after its report is durable, and a report goes only
after the message knows what it tells. Of what was passed on the same holds: the message is kept
until the report that was asked for is durable. What there is too much of for a report each waits
for a summary.

Failures: `SpoolError` when the disk fails; the message is as it was, and nobody was told.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from attrs import define, frozen
from twisted.internet.interfaces import IReactorTime

from m365gw.events import EventLog
from m365gw.relay.delivery.attempt import ACCEPTED
from m365gw.relay.delivery.delivery_log import log_finding
from m365gw.relay.delivery.finding import Attempt, Finding
from m365gw.relay.delivery.judgement import Failure, Progress
from m365gw.relay.delivery.recovery import MAYBE, Recovery, is_doubtful, owed, still_owed
from m365gw.relay.reports.bounces import Bounces, Case
from m365gw.relay.reports.summaries import Owed, Summaries
from m365gw.smtp.replies import Reply
from m365gw.smtp.reports.facts import Kind, Told
from m365gw.smtp.verdict import Outcome, Verdict
from m365gw.spool.message import Message
from m365gw.spool.names import Entry


@frozen
class Gathered:
    """What the next summary to an address tells of one message."""

    summaries: Summaries
    addressee: str
    cases: tuple[Case, ...]

    def rests_at(self, entry: Entry) -> None:
        """The message waits under this name."""
        self.summaries.add(self.addressee, Owed(entry, self.cases))


@define(kw_only=True)
class Telling:
    """Tells senders. `settle` notes verdicts in a message."""

    bounces: Bounces
    summaries: Summaries
    recovery: Recovery
    clock: IReactorTime
    log: EventLog
    settle: Callable[[Message, list[Verdict], float], None]

    def verdict(self, message: Message, finding: Finding, attempt: Attempt) -> Verdict:
        """What the spool keeps of a finding; also that its sender is still to be told of it."""
        reply = finding.reply
        if finding.outcome is Outcome.UNCERTAIN:
            reply = Reply(0, "", f"{MAYBE}: {reply.text}")
        verdict = Verdict(finding.recipient, finding.outcome, reply)
        if finding.outcome is Outcome.DELIVERED and self.bounces.owes(
            message, finding.recipient, is_taken_over=attempt.is_taken_over
        ):
            return owed(verdict)
        return verdict

    async def confirm(self, message: Message) -> None:
        """Tell who has it, where that was asked for and nobody else will."""
        passed_on = still_owed(message)
        if not passed_on:
            return
        cases = []
        for one in passed_on:
            recipient = message.envelope.recipients[one.recipient]
            explanation = ACCEPTED.diagnosis
            told = Told(recipient, one.reply, explanation, tried_at=self._now)
            cases.append(Case(one.recipient, told))
        report = await self.bounces.report(Kind.RELAYED, message, cases)
        self.settle(message, passed_on, self.clock.seconds())
        self._release(report)

    def has_room(self, message: Message) -> bool:
        """Whether whoever is told of this message may be sent a report now."""
        addressee = self.bounces.addressee(message)
        return not addressee or self.summaries.has_room(addressee)

    async def fail(self, message: Message, progress: Progress) -> None:
        """Make the report durable; only then its recipients have failed, and only then it goes."""
        cases = [self._case(message, one) for one in progress.failures]
        if not cases:
            return
        report = await self.bounces.report(Kind.FAILED, message, cases)
        now = self.clock.seconds()
        verdicts = [one.verdict(Kind.FAILED) for one in cases]
        self.settle(message, verdicts if report else [owed(one) for one in verdicts], now)
        if report is not None:
            self.summaries.count(self.bounces.addressee(message))
        self._release(report)
        for one in progress.failures:
            more = "given up: its time in the queue is over" if one.gave_up else ""
            times = (progress.taken, now)
            log_finding(self.log, message, one.finding, one.attempt, times, more=more)
            self.alarm(message, one.finding)

    def gather(self, message: Message, progress: Progress) -> Gathered:
        """Its sender has had many reports: it waits, undecided, for the next summary.

        The summary tells of it once it is known where it rests meanwhile.
        """
        addressee = self.bounces.addressee(message)
        progress.wait_at = self.summaries.gather(addressee)
        cases = tuple(self._case(message, one) for one in progress.failures)
        return Gathered(self.summaries, addressee, cases)

    def alarm(self, message: Message, finding: Finding) -> None:
        """What says that something is wrong beyond this message is told loudly."""
        if finding.reaction.alarm:
            note = str(finding.reaction.diagnosis)
            self.log.emit("alarm", "qmgr", message.entry.queue_id, level="error", note=note)

    def _case(self, message: Message, failure: Failure) -> Case:
        """A failure as the report tells of it."""
        finding, known = failure.finding, message.recipients[failure.finding.recipient]
        told = Told(
            known.recipient,
            finding.reply,
            finding.reaction.diagnosis,
            failure.attempt.relay,
            tried_at=self._now,
            gave_up=failure.gave_up,
            is_doubtful=is_doubtful(known.reply) and not is_doubtful(finding.reply),
        )
        return Case(finding.recipient, told)

    def _release(self, report: Entry | None) -> None:
        """A report goes, now that its subject knows what it tells."""
        if report is not None:
            self.recovery.released.add(report.id)
            self.bounces.accepted(report)

    @property
    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.seconds(), UTC)
