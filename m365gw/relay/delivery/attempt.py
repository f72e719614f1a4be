"""One attempt to send a message to some of its recipients, and what each answer asks for.

A session is taken from the exits, one transaction is carried, and the answer to each recipient
becomes a finding: what was said, what it means, what is due now. A token that was refused is
renewed and tried once more on a new connection. Trouble before MAIL FROM (no token, no
connection, no sign-in) becomes findings as well, so the caller sees one shape only.

Whatever stops a mailbox, a sender, a tenant or the host is told to `Mailboxes` here, once for
each kind of answer. Failures: only what reading or marking the message raises (`Corrupt`,
`SpoolError`); nothing was delivered then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from attrs import evolve, frozen
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from m365gw.config.settings import Mailbox
from m365gw.microsoft import no_token
from m365gw.microsoft.reactions import Action, Reaction, Scope, hold, stop
from m365gw.microsoft.replies import Phase, react
from m365gw.relay.delivery.finding import Attempt, Finding
from m365gw.relay.exit.connection import AttemptFailed
from m365gw.relay.exit.instead import is_instead
from m365gw.relay.exit.transaction import Answer, Transaction
from m365gw.relay.limits.governor import Governor, Granted
from m365gw.relay.stops.mailboxes import Mailboxes
from m365gw.relay.stops.stops import owner_of, place_of
from m365gw.relay.tokens.failures import TokenUnavailable
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome
from m365gw.spool.message import Message
from m365gw.spool.outcomes import is_same_reply
from m365gw.spool.spool import Spool

TOKEN_WAIT = 5.0  # seconds; the wait for a token doubles up to:
LONGEST_TOKEN_WAIT = 600.0

ACCEPTED = react(Phase.DATA, Reply(250, "2.0.0", "OK"))

# What was said on this connection makes another one the better choice for the next message.
_PARTING = frozenset(
    {Action.RETRY_FAST, Action.FEWER_CONNECTIONS, Action.REFRESH_TOKEN, Action.STOP, Action.HOLD}
)


class Session(Protocol):
    """A signed-in session, as it is used here."""

    relay: str  # "smtp.office365.com[192.0.2.1]:587", for logs

    @property
    def offers_dsn(self) -> bool: ...

    async def deliver(self, transaction: Transaction) -> Sequence[Answer]: ...


class Sessions(Protocol):
    """Where sessions come from: the exits. Raises `AttemptFailed` and `TokenUnavailable`."""

    async def checkout(
        self, mailbox: Mailbox, transaction: Transaction, *, fresh_token: bool = False
    ) -> Any: ...

    def checkin(self, mailbox: Mailbox, session: Any) -> None: ...

    def discard(self, session: Any) -> None: ...


@frozen
class _Heard:
    """Answers as they came, before they are weighed."""

    answers: Sequence[Answer]
    relay: str = "none"
    began: bool = False
    connecting: float = 0.0
    sending: float = 0.0
    session: Session | None = None


@frozen(kw_only=True)
class Attempts:
    """Makes attempts. Holds no state of its own."""

    spool: Spool
    sessions: Sessions
    accounts: Mapping[str, Mailbox]  # by address
    mailboxes: Mailboxes
    governor: Governor
    clock: IReactorTime
    mark: Callable[[Message, Sequence[int]], Awaitable[None]]  # durably, before the final dot

    async def send(self, message: Message, batch: Sequence[int], granted: Granted) -> Attempt:
        """One attempt for the recipients in `batch`; a finding for each of them."""
        heard = await self._transact(message, batch, granted)
        findings = self._weigh(message, heard, was_renewed=False)
        renewing = [
            finding.recipient
            for finding in findings
            if finding.reaction.action is Action.REFRESH_TOKEN
        ]
        if renewing:
            heard = await self._transact(message, renewing, granted, fresh_token=True)
            again = {one.recipient: one for one in self._weigh(message, heard, was_renewed=True)}
            findings = [again.get(finding.recipient, finding) for finding in findings]
        self._tell_how_far(message, findings, instead=is_instead(heard.session))
        return Attempt(
            tuple(findings),
            heard.relay,
            heard.began,
            heard.connecting,
            heard.sending,
            is_taken_over=heard.session is not None and heard.session.offers_dsn,
        )

    async def _transact(
        self,
        message: Message,
        batch: Sequence[int],
        granted: Granted,
        *,
        fresh_token: bool = False,
    ) -> _Heard:
        account = self.accounts[message.origin.mailbox]
        transaction = self._transaction(message, batch, granted)
        start = self.clock.seconds()
        try:
            session: Session = await self.sessions.checkout(
                account, transaction, fresh_token=fresh_token
            )
        except AttemptFailed as failed:
            return self._unheard(batch, failed.phase, failed.reply, start, failed.reaction)
        except TokenUnavailable as problem:
            reply = no_token.reply_of(problem.diagnosis)
            return self._unheard(batch, Phase.AUTH, reply, start, without_token(problem))
        ready = self.clock.seconds()
        try:
            answers = await session.deliver(transaction)
        except BaseException:
            self.sessions.discard(session)
            raise
        return _Heard(
            answers,
            session.relay,
            began=True,
            connecting=ready - start,
            sending=self.clock.seconds() - ready,
            session=session,
        )

    def _unheard(
        self,
        batch: Sequence[int],
        phase: Phase,
        reply: Reply,
        start: float,
        reaction: Reaction | None = None,
    ) -> _Heard:
        answers = [Answer(place, Outcome.PENDING, reply, phase, reaction) for place in batch]
        return _Heard(answers, connecting=self.clock.seconds() - start)

    def _transaction(self, message: Message, batch: Sequence[int], granted: Granted) -> Transaction:
        envelope = message.envelope

        async def before_dot() -> None:
            wait = self.governor.late(message.origin.mailbox, granted)
            if wait:
                await deferLater(self.clock, wait)
            await self.mark(message, batch)

        return Transaction(
            sender=envelope.sender,
            recipients=[(place, envelope.recipients[place]) for place in batch],
            size=message.size,
            read=message.read,
            before_dot=before_dot,
            eight_bit=envelope.eight_bit,
            smtputf8=envelope.smtputf8,
            ret=envelope.ret,
            envid=envelope.envid,
        )

    def _weigh(self, message: Message, heard: _Heard, *, was_renewed: bool) -> list[Finding]:
        """A finding for each answer. What concerns more than the message is counted once."""
        now = self.clock.seconds()
        told: dict[int, tuple[Reaction, float]] = {}
        findings = []
        for answer in heard.answers:
            if answer.outcome is Outcome.DELIVERED:
                findings.append(_finding(answer, ACCEPTED, 0.0))
                continue
            reaction = answer.reaction or react(answer.phase, answer.reply)
            if reaction.action is Action.REFRESH_TOKEN:
                if not was_renewed:
                    findings.append(_finding(answer, reaction, 0.0))
                    continue
                reaction = reaction.then or reaction
            if owner_of(reaction) is Scope.MESSAGE:
                due, pause = _due_for(message, answer, reaction, now)
                due = self.mailboxes.named(due, message.origin.mailbox, message.envelope.sender)
            else:
                if id(reaction) not in told:
                    told[id(reaction)] = self.mailboxes.answered(
                        message.origin.mailbox, message.envelope.sender, answer.phase, reaction, now
                    )
                due, pause = told[id(reaction)]
            findings.append(_finding(answer, due, pause))
        self._give_back(message, heard.session, findings)
        return findings

    def _give_back(
        self, message: Message, session: Session | None, findings: Sequence[Finding]
    ) -> None:
        if session is None:
            return
        if any(finding.reaction.action in _PARTING for finding in findings):
            self.sessions.discard(session)
        else:
            self.sessions.checkin(self.accounts[message.origin.mailbox], session)

    def _tell_how_far(
        self, message: Message, findings: Iterable[Finding], *, instead: bool
    ) -> None:
        """Lets go of what stopped mail before the place this attempt came to."""
        arrived = any(finding.outcome is Outcome.DELIVERED for finding in findings)
        furthest = None if arrived else max((finding.phase for finding in findings), key=place_of)
        origin, sender, now = message.origin, message.envelope.sender, self.clock.seconds()
        self.mailboxes.passed(origin.mailbox, sender, furthest, now, instead=instead)


def without_token(problem: TokenUnavailable) -> Reaction:
    """What a missing token asks for: wait, when it comes by itself, or hold the mailbox."""
    least = problem.retry_after
    if problem.reaction == "retry":
        first, longest = max(TOKEN_WAIT, least), max(LONGEST_TOKEN_WAIT, least)
        return stop(Scope.MAILBOX, first, problem.diagnosis, ceiling=longest)
    held = hold(Scope.MAILBOX, problem.diagnosis)
    # Some errors must not be provoked often: then the mailbox is probed at the pace they ask for.
    return evolve(held, seconds=least, ceiling=max(least, held.seconds)) if least else held


def _due_for(
    message: Message, answer: Answer, reaction: Reaction, now: float
) -> tuple[Reaction, float]:
    """The reaction due when the row of equal answers is the recipient's own."""
    known = message.recipients[answer.recipient]
    if not (known.at and is_same_reply(known.reply, answer.reply)):
        return reaction, reaction.pause()
    times = max(2, message.entry.attempts + 1)
    due = reaction.after(times, now - known.at)
    return due, due.pause(times)


def _finding(answer: Answer, due: Reaction, pause: float) -> Finding:
    outcome = answer.outcome
    if outcome not in (Outcome.DELIVERED, Outcome.UNCERTAIN):
        outcome = Outcome.FAILED if due.action is Action.BOUNCE else Outcome.PENDING
    return Finding(answer.recipient, outcome, answer.reply, answer.phase, due, pause)
