"""One message on its way out: claimed, sent in as many transactions as may go now, and put where
its outcome belongs.

What is promised: a recipient that was delivered is never sent to again; a recipient fails only
after its report is durable; what is not known to be done stays in the spool. What a message
cannot help (a stopped mailbox, a limit of ours) makes it wait without an attempt being counted and
without ageing towards its return.

Failures: `SpoolError` from `deliver` when the disk fails; the message is where it was. Anything
unexpected is logged and treated as temporary.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, inf

from attrs import define, field
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from m365gw.config.settings import Queue
from m365gw.events import EventLog
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.relay.delivery.attempt import Attempts
from m365gw.relay.delivery.delivery_log import log_finding, log_line
from m365gw.relay.delivery.finding import Attempt
from m365gw.relay.delivery.judgement import Judge, Progress, held_words, is_for_policy
from m365gw.relay.delivery.recovery import Recovery, is_owed
from m365gw.relay.delivery.resting import Resting
from m365gw.relay.limits.governor import Governor, Granted
from m365gw.relay.reports.bounces import Bounces
from m365gw.relay.reports.given_up import given_up, is_given_up
from m365gw.relay.reports.summaries import Summaries
from m365gw.relay.reports.telling import Telling
from m365gw.relay.stops.mailboxes import Mailboxes
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome
from m365gw.spool.health import Corrupt, Gone, SpoolError, Unreadable
from m365gw.spool.message import Message
from m365gw.spool.names import Entry, State
from m365gw.spool.spool import Spool

NOT_TRIED = Reply(0, "", "not tried")
HELD_UNCERTAIN = (
    "No answer came to the end of it; Microsoft may have it. If message trace does not show it:"
    " m365gw queue release <id>; else: m365gw queue remove <id>"
)
PROBE_WAIT = 60.0  # seconds until a message looks again what came of another that probes
MISSING_WAIT = 3600.0  # the same for a mailbox that is not configured

_OPEN = frozenset({Outcome.PENDING, Outcome.UNCERTAIN})

_diagnostics = Logger()


@define(kw_only=True)
class Delivery:
    """Delivers messages, many at a time. `chance` gives numbers from 0 to 1, for jitter."""

    spool: Spool
    attempts: Attempts
    governor: Governor
    mailboxes: Mailboxes
    bounces: Bounces
    summaries: Summaries
    queue: Queue
    clock: IReactorTime
    log: EventLog
    chance: Callable[[], float]
    _carried: set[int] = field(factory=set)  # messages in hand
    _judge: Judge = field(init=False)
    _resting: Resting = field(init=False)
    recovery: Recovery = field(init=False)
    telling: Telling = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.recovery = Recovery(spool=self.spool, queue=self.queue, log=self.log)
        self._judge = Judge(
            governor=self.governor,
            mailboxes=self.mailboxes,
            queue=self.queue,
            chance=self.chance,
        )
        self._resting = Resting(spool=self.spool, judge=self._judge, clock=self.clock, log=self.log)
        self.telling = Telling(
            bounces=self.bounces,
            summaries=self.summaries,
            recovery=self.recovery,
            clock=self.clock,
            log=self.log,
            settle=self._resting.settle,
        )

    def configure(self, queue: Queue) -> None:
        """From now on this is when to try, when to give up, and what to do when it is unsure."""
        self.queue = self._judge.queue = self.recovery.queue = queue
        self.bounces.queue = queue
        self.summaries.limit = queue.report_limit

    async def deliver(self, entry: Entry) -> Entry | None:
        """Try one message. Gives the entry under which it rests now, in deferred or in hold.

        None: it has ended, or is damaged and rests in corrupt.
        """
        try:
            message = self.spool.claim(entry)
        except Gone:
            return None
        except Unreadable as error:
            return self._resting.put_off(entry, error)
        except Corrupt as damage:
            self._resting.say_damaged(entry, damage)
            return None
        self._carried.add(entry.id)
        try:
            return await self._carry(message)
        except Gone:  # an operator has moved it meanwhile
            return None
        except Corrupt as damage:
            self._resting.set_aside(message, damage)
            return None
        except Unreadable as error:
            return self._resting.put_off(message.entry, error)
        except SpoolError:
            raise
        except CancelledError:  # the service ends; the file says how far this one came
            message.detach()  # not closed: a thread may be about to write to it
            return None
        except Exception:
            _diagnostics.failure("{qid}: delivery failed", qid=entry.queue_id)
            due = self._judge.next_attempt(message, self.clock.seconds())
            return self.spool.defer(message, ceil(due))
        finally:
            self._carried.discard(entry.id)
            message.close()

    def is_carried(self, number: int) -> bool:
        """Whether the message of this id is in hand now."""
        return number in self._carried

    def retry_until(self, message: Message, now: float) -> float:
        """How long a message is tried at least; longer if it must wait for what is not its own."""
        return self._judge.retry_until(message, now)

    # -- before it is sent

    async def _carry(self, message: Message) -> Entry | None:
        now = self.clock.seconds()
        mailbox, sender = message.origin.mailbox, message.envelope.sender
        self._resting.settle_known(message, now)
        if is_given_up(message):
            return await self._give_back(message, now)
        if mailbox not in self.mailboxes:
            self._say_held(message, self.mailboxes.missing(mailbox, now))
            return self.spool.wait(message, ceil(now + MISSING_WAIT))
        at = self.mailboxes.sender_may_send(mailbox, sender, now)
        if at > now:
            self._say_held(message, self.mailboxes.held_sender(mailbox, sender))
            return self.spool.wait(message, ceil(at if at < inf else now + PROBE_WAIT))
        if self.recovery.settle(message, now):
            return self._resting.hold(message, HELD_UNCERTAIN)
        probed = self.mailboxes.enter_sender(mailbox, sender, now)
        try:
            return await self._send(message, now)
        finally:
            self.mailboxes.leave(probed)

    async def _give_back(self, message: Message, now: float) -> Entry | None:
        """An operator gave the message up: whoever has not got it is reported to its sender."""
        self.recovery.settle_given_up(message, now)
        return await self._end(message, Progress(now, [], failures=given_up(message)))

    # -- while it is sent

    async def _send(self, message: Message, now: float) -> Entry | None:
        self.log.emit(
            "message.active",
            "qmgr",
            message.entry.queue_id,
            from_=message.envelope.sender,
            size=message.size,
            nrcpt=len(message.recipients),
            note="queue active",
        )
        waiting = [
            (record.at, place)
            for place, record in enumerate(message.recipients)
            if record.outcome in _OPEN
        ]
        progress = Progress(now, [place for _, place in sorted(waiting)])  # the untried first
        is_done = False
        while progress.todo and progress.goes_on:
            batch = self._judge.next_batch(message, progress)
            if not batch.places:
                progress.wait_at = self.clock.seconds()  # the governor knows until when
                break
            attempt = await self.attempts.send(message, batch.places, batch.granted)
            is_done = self._take_in(message, progress, attempt, batch.granted)
        if is_done:
            self._resting.remove(message)
            return None
        return await self._end(message, progress)

    def _take_in(
        self, message: Message, progress: Progress, attempt: Attempt, granted: Granted
    ) -> bool:
        """Note on disk, then in the log, what an attempt decided.

        True: all recipients have it at one go. Then the file goes, and is not written to again.
        """
        now = self.clock.seconds()
        noted = self._judge.judge(message, progress, attempt, granted, now)
        verdicts = [self.telling.verdict(message, finding, attempt) for finding in noted]
        is_done = sum(one.outcome is Outcome.DELIVERED for one in noted) == len(message.recipients)
        is_done = is_done and not any(is_owed(one) for one in verdicts)
        if is_done:
            self._resting.settle_if_it_stays(message, verdicts)
        elif verdicts:
            self._resting.settle(message, verdicts, now)
        for finding in noted:
            more = self.recovery.policy() if is_for_policy(finding) else ""
            log_finding(self.log, message, finding, attempt, (progress.taken, now), more=more)
        return is_done

    # -- after it was sent

    async def _end(self, message: Message, progress: Progress) -> Entry | None:
        """Tell its sender what is to be told, and put the message where it belongs now."""
        await self.telling.confirm(message)
        if not progress.failures or self.telling.has_room(message):
            await self.telling.fail(message, progress)
            return self._put_away(message, progress)
        gathered = self.telling.gather(message, progress)
        entry = self._put_away(message, progress)
        if entry is not None:
            gathered.rests_at(entry)
        return entry

    def _put_away(self, message: Message, progress: Progress) -> Entry | None:
        now = self.clock.seconds()
        outcomes = {record.outcome for record in message.recipients}
        if outcomes & _OPEN and progress.held_for is not None:
            self.telling.alarm(message, progress.held_for)
            return self._resting.hold(message, held_words(progress.held_for))
        if Outcome.UNCERTAIN in outcomes and (
            self.queue.on_uncertain == "hold" or self._judge.is_over(message, now)
        ):
            return self._resting.hold(message, HELD_UNCERTAIN)
        if outcomes & _OPEN:
            if progress.wait_at < inf:
                return self.spool.wait(message, ceil(min(progress.wait_at, progress.retry_at)))
            return self.spool.defer(message, ceil(progress.retry_at))
        if Outcome.FAILED in outcomes and (obstacle := self.bounces.obstacle(message)):
            return self._resting.hold(message, obstacle)
        self._resting.remove(message)
        return None

    def _say_held(self, message: Message, diagnosis: Diagnosis | None) -> None:
        """Why a message waits without an attempt; said once for each message."""
        if diagnosis is None or message.entry.state is not State.INCOMING:
            return
        for place in range(len(message.recipients)):
            log_line(self.log, message, place, "held", NOT_TRIED, str(diagnosis))
