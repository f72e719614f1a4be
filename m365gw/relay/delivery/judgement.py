"""What the answers of an attempt mean for the message: who is done, who failed, who goes again,
and when. Writes nothing and sends nothing; what a reply teaches about limits goes to the governor.

Only what a message did itself ages it: the time its mailbox or sender was stopped is excused.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from attrs import define, evolve, field, frozen

from m365gw.config.settings import Queue
from m365gw.microsoft.reactions import Action, Scope
from m365gw.microsoft.replies import Phase
from m365gw.relay.delivery.finding import Attempt, Finding
from m365gw.relay.delivery.recovery import is_report
from m365gw.relay.delivery.retries import expired, next_attempt
from m365gw.relay.limits.governor import Governor, Granted
from m365gw.relay.stops.mailboxes import Mailboxes
from m365gw.smtp.verdict import Outcome
from m365gw.spool.message import Message
from m365gw.spool.names import Entry


@frozen
class Failure:
    """A recipient that is given up, and the attempt that decided it."""

    finding: Finding
    attempt: Attempt
    gave_up: bool = False  # temporary trouble until the end of its time


@define
class Progress:
    """What became of a message since it was claimed."""

    taken: float  # when it was taken from the queue
    todo: list[int]  # recipients not tried yet
    failures: list[Failure] = field(factory=list)
    retry_at: float = inf  # it failed temporarily: the time of the next attempt
    wait_at: float = inf  # it could not help it: the time from when on it may go
    goes_on: bool = True  # whether another transaction makes sense now
    held_for: Finding | None = None  # it waits in hold, for what this says


@frozen
class Batch:
    """Recipients of one transaction, and the leave to send to them."""

    places: list[int]
    granted: Granted


@define(kw_only=True)
class Judge:
    """Judges attempts. `chance` gives numbers from 0 to 1, for jitter."""

    governor: Governor
    mailboxes: Mailboxes
    queue: Queue
    chance: Callable[[], float]
    _batches: dict[int, int] = field(factory=dict)  # messages that need small transactions

    def next_batch(self, message: Message, progress: Progress) -> Batch:
        """The recipients of the next transaction; none when the governor allows none now."""
        wanted = progress.todo[: self._batches.get(message.entry.id)]
        addresses = [message.envelope.recipients[place].address for place in wanted]
        granted = self.governor.grant(message.origin.mailbox, addresses)
        return Batch(wanted[: granted.count], granted)

    def judge(
        self, message: Message, progress: Progress, attempt: Attempt, granted: Granted, now: float
    ) -> list[Finding]:
        """Sort the findings of an attempt. Gives those to be noted; failures go to `progress`."""
        mailbox = message.origin.mailbox
        if not attempt.began:
            self.governor.give_back(mailbox, granted)
        if any(one.reaction.action is Action.FEWER_CONNECTIONS for one in attempt.findings):
            self.governor.fewer_connections(mailbox)
        if any(_says_busy(one) for one in attempt.findings):
            self.governor.busy(mailbox)
        again = self._too_many(message, attempt)
        noted = []
        for finding in attempt.findings:
            if finding.recipient in again:
                continue
            progress.todo.remove(finding.recipient)
            failure = self._failure(message, finding, attempt, now)
            if failure is not None:
                progress.failures.append(failure)
                continue
            noted.append(finding)
            if finding.outcome is not Outcome.DELIVERED:
                self._put_off(message, progress, finding, now)
        return noted

    def forget(self, entry: Entry) -> None:
        """The message has ended."""
        self._batches.pop(entry.id, None)

    def next_attempt(self, message: Message, now: float) -> float:
        """When a message that failed temporarily is tried again."""
        shortest, longest = self.queue.minimal_backoff_time, self.queue.maximal_backoff_time
        return next_attempt(now, self._age(message, now), shortest, longest, self.chance())

    def next_glance(self, entry: Entry, now: float) -> float:
        """When to look again at a message of which no more is known than its file name tells."""
        shortest, longest = self.queue.minimal_backoff_time, self.queue.maximal_backoff_time
        return next_attempt(now, now - entry.arrived_at, shortest, longest, self.chance())

    def is_over(self, message: Message, now: float) -> bool:
        """Whether a message that has just failed is given up."""
        return expired(self._age(message, now), self._lifetime(message))

    def retry_until(self, message: Message, now: float) -> float:
        """When a message will be given up that fails until then for reasons of its own."""
        return now + max(0.0, self._lifetime(message) - self._age(message, now))

    def _lifetime(self, message: Message) -> float:
        lifetime = self.queue.maximal_queue_lifetime
        if is_report(message.origin):
            lifetime = min(lifetime, self.queue.bounce_queue_lifetime)
        return lifetime

    def _age(self, message: Message, now: float) -> float:
        """Seconds the message has failed for reasons of its own."""
        arrived = message.entry.arrived_at
        mailbox, sender = message.origin.mailbox, message.envelope.sender
        return now - arrived - self.mailboxes.excused(mailbox, sender, arrived, now)

    def _too_many(self, message: Message, attempt: Attempt) -> frozenset[int]:
        """Recipients to be sent to again at once, in smaller transactions."""
        split = [one for one in attempt.findings if one.reaction.action is Action.SPLIT]
        tried = len(attempt.findings)
        if not split or tried == 1:
            return frozenset()  # one recipient alone is never too many: it means something else
        arrived = sum(one.outcome is Outcome.DELIVERED for one in attempt.findings)
        then = split[0].reaction.then
        if then is not None and then.action is Action.RETRY:  # a matter of number alone
            too_many = 2 * arrived if arrived else tried
            self.governor.fewer_recipients(message.origin.mailbox, too_many)
        if not arrived:
            self._batches[message.entry.id] = tried // 2
        return frozenset(one.recipient for one in split)

    def _failure(
        self, message: Message, finding: Finding, attempt: Attempt, now: float
    ) -> Failure | None:
        """The failure of a recipient: refused for good, or put off once too often."""
        finding = _meant(finding)
        failed = evolve(finding, outcome=Outcome.FAILED)
        if finding.outcome is Outcome.FAILED:
            return Failure(failed, attempt)
        is_own = finding.outcome is Outcome.PENDING and finding.reaction.scope is Scope.MESSAGE
        is_own = is_own and finding.reaction.action is not Action.HOLD
        if is_own and self.is_over(message, now):
            return Failure(failed, attempt, gave_up=True)
        return None

    def _put_off(self, message: Message, progress: Progress, finding: Finding, now: float) -> None:
        """Decide when a recipient that is neither done nor failed is tried again."""
        finding = _meant(finding)
        is_pending = finding.outcome is Outcome.PENDING
        if is_pending and finding.reaction.scope is not Scope.MESSAGE:
            progress.wait_at = now  # what is stopped knows until when
            progress.goes_on = False
            return
        if finding.reaction.action is Action.HOLD:
            progress.held_for = finding
            progress.goes_on = False
        # Uncertain ones are in no hurry: each time may be one copy more.
        is_fast = is_pending and finding.reaction.action is Action.RETRY_FAST
        at = now + finding.pause if is_fast else self.next_attempt(message, now)
        progress.retry_at = min(progress.retry_at, at)
        progress.goes_on = progress.goes_on and finding.phase is Phase.RCPT


def is_for_policy(finding: Finding) -> bool:
    """Whether [queue] on_uncertain says what becomes of a recipient that may have the message."""
    return finding.outcome is Outcome.UNCERTAIN and finding.reaction.action is not Action.HOLD


def held_words(finding: Finding) -> str:
    """Why a message rests in hold, as its file keeps it, which has room for a line."""
    return f"{finding.reaction.diagnosis.what} What to do: m365gw queue show <id>"


def _meant(finding: Finding) -> Finding:
    """A finding with the reaction that counts: "too many" said of one recipient means another."""
    reaction = finding.reaction
    if reaction.action is not Action.SPLIT or reaction.then is None:
        return finding
    outcome = Outcome.FAILED if reaction.then.action is Action.BOUNCE else finding.outcome
    # The diagnosis is the same, and here it names who it is about.
    meant = evolve(reaction.then, diagnosis=reaction.diagnosis)
    return evolve(finding, reaction=meant, outcome=outcome)


def _says_busy(finding: Finding) -> bool:
    """Whether the host said that it is too much for it; no answer at all says nothing."""
    reaction = finding.reaction
    is_stop = reaction.action is Action.STOP and reaction.scope is Scope.HOST
    return is_stop and 400 <= finding.reply.code < 500
