"""A stage for tests of mail out: the real spool, schedule and relay, a clock one moves by hand,
and a pool whose sessions answer as a script says."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Governor as Limits
from m365gw.config.settings import Mailbox, Queue
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.microsoft.replies import Phase
from m365gw.relay.delivery.attempt import Attempts
from m365gw.relay.delivery.delivery import Delivery
from m365gw.relay.exit.transaction import Answer, Transaction
from m365gw.relay.limits.governor import Governor
from m365gw.relay.queue.dispatch import Dispatch
from m365gw.relay.queue.operations import Operations
from m365gw.relay.queue.search import Search
from m365gw.relay.reports.bounces import Bounces
from m365gw.relay.reports.delays import Delays
from m365gw.relay.reports.summaries import Summaries
from m365gw.relay.stops.mailboxes import Mailboxes
from m365gw.relay.stops.stops import Account
from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome
from m365gw.spool.browse import Queued
from m365gw.spool.ledger import LEDGER, Clocks, Ledger
from m365gw.spool.names import Entry, State
from m365gw.spool.schedule import Schedule
from m365gw.spool.spool import Spool

START = 1_800_000_000.0
BOX = "relay@contoso.com"
TWIN = "alarm@contoso.com"
APP = "app@contoso.com"
CONTENT = b"Subject: hello\r\n\r\nHello.\r\n"
OK = Reply(250, "2.0.0", "OK <1@contoso.com> [Hostname=AM0PR01.eurprd01.prod.outlook.com]")
GENEROUS = Limits(connections=2, messages_per_minute=1e9, burst=1000, recipients_per_day=10**9)

T = TypeVar("T")


class Inline:
    """Blocking calls made at once."""

    async def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return function(*args, **kwargs)


@frozen
class Delivered:
    """One transaction that was accepted."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes


# One step of a script: what a session does with one transaction, or an error for the checkout.
Step = Callable[["Pool", Transaction], "Deferred[list[Answer]]"] | Exception


@define
class Session:
    """A session that does the next step of the script, and accepts when there is none."""

    pool: Pool
    relay: str = "smtp.office365.com[192.0.2.1]:587"

    @property
    def offers_dsn(self) -> bool:
        return self.pool.offers_dsn

    async def deliver(self, transaction: Transaction) -> Sequence[Answer]:
        step = self.pool.script.pop(0) if self.pool.script else accept
        assert not isinstance(step, Exception)
        return await step(self.pool, transaction)


@define
class Pool:
    """Sessions by script. `fresh` counts checkouts with a new token."""

    script: list[Any] = field(factory=list)
    delivered: list[Delivered] = field(factory=list)
    open: int = 0
    most: int = 0
    fresh: int = 0
    discarded: int = 0
    transactions: int = 0
    offers_dsn: bool = True

    async def checkout(
        self, mailbox: Mailbox, transaction: Transaction, *, fresh_token: bool = False
    ) -> Session:
        self.fresh += fresh_token
        if self.script and isinstance(self.script[0], Exception):
            raise self.script.pop(0)
        self.open += 1
        self.transactions += 1
        self.most = max(self.most, self.open)
        return Session(self)

    def checkin(self, mailbox: Mailbox, session: Session) -> None:
        self.open -= 1

    def discard(self, session: Session) -> None:
        self.open -= 1
        self.discarded += 1


async def accept(pool: Pool, transaction: Transaction) -> list[Answer]:
    """Takes the message for all recipients."""
    content = transaction.read(0, transaction.size)
    await transaction.before_dot()
    addresses = tuple(recipient.address for _, recipient in transaction.recipients)
    pool.delivered.append(Delivered(transaction.sender, addresses, content))
    return [Answer(place, Outcome.DELIVERED, OK, Phase.DATA) for place, _ in transaction.recipients]


def refuse(code: int, status: str, text: str, phase: Phase = Phase.DATA) -> Any:
    """Refuses all recipients with one reply."""

    async def step(pool: Pool, transaction: Transaction) -> list[Answer]:
        if phase is Phase.DATA:
            await transaction.before_dot()
        outcome = Outcome.FAILED if code >= 500 else Outcome.PENDING
        reply = Reply(code, status, text)
        return [Answer(place, outcome, reply, phase) for place, _ in transaction.recipients]

    return step


def refuse_some(replies: dict[str, Reply]) -> Any:
    """Refuses some recipients at RCPT TO and delivers to the others."""

    async def step(pool: Pool, transaction: Transaction) -> list[Answer]:
        answers, taken = [], []
        for place, recipient in transaction.recipients:
            reply = replies.get(recipient.address)
            if reply is None:
                taken.append(recipient.address)
                answers.append(Answer(place, Outcome.DELIVERED, OK, Phase.DATA))
            else:
                outcome = Outcome.FAILED if reply.is_permanent else Outcome.PENDING
                answers.append(Answer(place, outcome, reply, Phase.RCPT))
        if taken:
            await transaction.before_dot()
            content = transaction.read(0, transaction.size)
            pool.delivered.append(Delivered(transaction.sender, tuple(taken), content))
        return answers

    return step


async def lose_after_dot(_pool: Pool, transaction: Transaction) -> list[Answer]:
    """The connection is lost between the final dot and the answer."""
    await transaction.before_dot()
    lost = Reply(0, "", "the other side closed the connection")
    return [
        Answer(place, Outcome.UNCERTAIN, lost, Phase.DATA) for place, _ in transaction.recipients
    ]


class Stage:
    """Everything of mail out but the network, the tokens and the wall clock.

    It lasts as long as the test, or until its `crash`. `path` is the folder of its spool, a new
    one if empty.
    """

    def __init__(
        self,
        test: SynchronousTestCase,
        *,
        path: str = "",
        queue: Queue | None = None,
        limits: Limits = GENEROUS,
        addresses: Sequence[str] = (BOX, TWIN),
        clock: Clock | None = None,
        pool: Pool | None = None,
        client_id: str = "1",
    ) -> None:
        self._test = test
        self.path = path or test.mktemp()
        self.clock = clock or Clock()
        if clock is None:
            self.clock.advance(START)
        self.pool = pool or Pool()
        self.lines = io.StringIO()
        self.log = EventLog(self.lines, hostname="relay", format="json", clock=self.clock.seconds)
        queue = self.queue = queue or Queue()
        self.spool = Spool.open(self.path, hostname="relay.example.com", clock=self.clock.seconds)
        self.schedule = Schedule()
        accounts = [
            Account(address, "contoso", "smtp.office365.com:587", client_id)
            for address in addresses
        ]
        self._set_by = 0.0  # seconds
        clocks = Clocks(self.clock.seconds, lambda: self.clock.seconds() - self._set_by, "boot")
        ledger = Ledger(os.path.join(self.path, LEDGER), self.spool.health, clocks)
        self.governor = Governor(limits, ledger, accounts)
        self._is_over = False
        test.addCleanup(self._close)
        self.accounts = {
            address: Mailbox(
                address=address,
                flow="secret",
                tenant="contoso",
                client_id=client_id,
                client_secret="s",
            )
            for address in addresses
        }
        self.incidents = Incidents(self.log, self.clock.seconds)
        self.mailboxes = Mailboxes(accounts, self.log, self.incidents)
        self.signed_in: set[str] = set()  # mailboxes somebody has just signed in for
        disk = Inline()
        attempts = Attempts(
            spool=self.spool,
            sessions=self.pool,
            accounts=self.accounts,
            mailboxes=self.mailboxes,
            governor=self.governor,
            clock=self.clock,
            mark=partial(disk.call, self.spool.mark),
        )
        self.bounces = Bounces(
            spool=self.spool,
            mailboxes=self.mailboxes,
            disk=disk,
            clock=self.clock,
            log=self.log,
            hostname="relay.example.com",
            queue=queue,
            accepted=self.schedule.add,
        )
        summaries = Summaries(self.bounces, self.clock, queue.report_limit)
        self.delivery = Delivery(
            spool=self.spool,
            attempts=attempts,
            governor=self.governor,
            mailboxes=self.mailboxes,
            bounces=self.bounces,
            summaries=summaries,
            queue=queue,
            clock=self.clock,
            log=self.log,
            chance=lambda: 0.5,
        )
        self.delays = Delays(self.delivery)
        self.dispatch = Dispatch(
            spool=self.spool,
            schedule=self.schedule,
            governor=self.governor,
            mailboxes=self.mailboxes,
            delivery=self.delivery,
            queue=queue,
            addresses=addresses,
            clock=self.clock,
            disk=disk,
            log=self.log,
            incidents=self.incidents,
            new_sign_ins=lambda stopped: [each for each in stopped if each in self.signed_in],
        )
        self.operations = Operations(
            spool=self.spool,
            schedule=self.schedule,
            dispatch=self.dispatch,
            search=Search(spool=self.spool, disk=disk, clock=self.clock),
            disk=disk,
            clock=self.clock,
            log=self.log,
        )

    # -- what happens

    def put(
        self,
        *recipients: str | Recipient,
        sender: str = APP,
        mailbox: str = BOX,
        content: bytes = CONTENT,
        login: str = "printer",
        ret: str = "",
    ) -> Entry:
        """A message in the spool, durable, as a session leaves it there."""
        known = tuple(
            recipient if isinstance(recipient, Recipient) else Recipient(recipient)
            for recipient in recipients or ("to@example.net",)
        )
        origin = Origin("192.0.2.7", protocol="ESMTPSA", login=login, mailbox=mailbox)
        draft = self.spool.draft(Envelope(sender, known, ret=ret), origin)
        draft.write(content)
        draft.finish()
        (entry,) = self.spool.commit([draft])
        assert isinstance(entry, Entry)
        return entry

    def send(self, *recipients: str | Recipient, **more: Any) -> Entry:
        """The same, and the relay is told of it and gets its turns."""
        entry = self.put(*recipients, **more)
        self.dispatch.accepted(entry)
        self.turn()
        return entry

    def turn(self, turns: int = 20) -> None:
        """A few turns of the reactor, within the same moment."""
        for _ in range(turns):
            self.clock.advance(0)

    def crash(self) -> None:
        """The process ends here; only what is on disk is left, and the clock."""
        for call in list(self.clock.getDelayedCalls()):
            call.cancel()
        self._close()

    def _close(self) -> None:
        if not self._is_over:
            self._is_over = True
            self.governor.ledger.close()
            self.spool.close()

    def lose_power(self) -> None:
        """The machine ends here: what was not yet synced is gone as well."""
        self.crash()
        for unsynced in Path(self.path, "incoming/new").glob(".*"):
            unsynced.unlink()

    def restarted(self, **more: Any) -> Stage:
        """The next process on the same spool, at the same time; `more` as when a stage is made."""
        self.crash()
        return Stage(self._test, path=self.path, clock=self.clock, **more)

    def wait(self, seconds: float, step: float = 1.0) -> None:
        """Time passes."""
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end:
            self.clock.advance(min(step, end - self.clock.seconds()))
            self.turn(5)

    def set_clock(self, shift: float) -> None:
        """Somebody sets the clock of the machine, and it is noticed."""
        self._set_by += shift
        for call in self.clock.getDelayedCalls():
            call.delay(shift)
        self.clock.rightNow += shift
        self.dispatch.clock_was_set(shift)

    def until(self, done: Callable[[], bool], most: float = 200_000.0, step: float = 5.0) -> float:
        """Time passes until something is so; the seconds it took."""
        start = self.clock.seconds()
        while not done():
            assert self.clock.seconds() - start < most, "it never came to pass"
            self.clock.advance(step)
            self.turn(5)
        return self.clock.seconds() - start

    # -- what is seen

    def entries(self, *states: State) -> list[Entry]:
        return list(self.spool.entries(*states))

    def queued(self) -> list[Queued]:
        """All messages in the spool, read."""
        found = []
        for entry in self.entries():
            message = self.spool.claim(entry)
            found.append(
                Queued(
                    entry,
                    message.envelope,
                    message.origin,
                    message.recipients,
                    message.reason,
                    header=message.read(0, message.size),
                )
            )
            message.close()
        return found

    def outcomes(self) -> str:
        """The outcome letters of the one message in the spool."""
        (queued,) = self.queued()
        return "".join(record.outcome.value for record in queued.recipients)

    def events(self, name: str) -> list[dict[str, Any]]:
        records = [json.loads(line) for line in self.lines.getvalue().splitlines()]
        return [record for record in records if record["event"] == name]

    def statuses(self) -> list[str]:
        """The status of each delivery line of the log."""
        return [record["status"] for record in self.events("delivery")]

    def reached(self) -> list[str]:
        """Addresses that were delivered to, in order, with repeats."""
        return [address for one in self.pool.delivered for address in one.recipients]
