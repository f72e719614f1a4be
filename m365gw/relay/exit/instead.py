"""SMTP in place of Graph: for a message that Graph cannot carry, or refuses as it stands.

SMTP is only the fallback then. So what stands in its way (no sign-in, no connection, a host that is
busy) concerns the message that needs it and not the mailbox, whose other mail leaves by Graph. What
is about the mailbox or the sender itself (a quota, a missing right) is the same by either exit.

Failures become answers; what reading or marking the message raises passes through.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from attrs import define, evolve

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.reactions import Action, Reaction, Scope, refresh_token, retry, set_aside
from m365gw.microsoft.replies import react
from m365gw.relay.exit.connection import AttemptFailed, Connection
from m365gw.relay.exit.graph_session import GraphSession
from m365gw.relay.exit.transaction import Answer, Transaction
from m365gw.smtp.verdict import Outcome


@define(eq=False)
class SmtpInstead:
    """A session by SMTP of a mailbox that leaves by Graph."""

    connection: Connection

    @property
    def relay(self) -> str:
        return self.connection.relay

    @property
    def offers_dsn(self) -> bool:
        return self.connection.offers_dsn

    async def deliver(self, transaction: Transaction) -> Sequence[Answer]:
        """Carry the transaction; one answer for each recipient, in their order."""
        return [_narrowed(answer) for answer in await self.connection.deliver(transaction)]


@define(eq=False)
class GraphThenSmtp:
    """A session by Graph, then one by SMTP for what Graph refuses and SMTP may take.

    `instead` opens the second one. Raises `AttemptFailed`.
    """

    session: GraphSession | SmtpInstead
    end_first: Callable[[GraphSession], None]
    instead: Callable[[Diagnosis], Awaitable[SmtpInstead]]

    @property
    def relay(self) -> str:
        return self.session.relay

    @property
    def offers_dsn(self) -> bool:
        return self.session.offers_dsn

    async def deliver(self, transaction: Transaction) -> Sequence[Answer]:
        """Carry the transaction; one answer for each recipient, in their order."""
        first = self.session
        answers = await first.deliver(transaction)
        if not isinstance(first, GraphSession) or not first.smtp_may:
            return answers
        reason = answers[0].reaction
        assert reason is not None  # Graph's answers all have one
        try:
            self.session = await self.instead(reason.diagnosis)
        except AttemptFailed as failed:
            return [
                evolve(one, outcome=Outcome.PENDING, reply=failed.reply, reaction=failed.reaction)
                for one in answers
            ]
        self.end_first(first)
        return await self.session.deliver(transaction)


def is_instead(session: object) -> bool:
    """Whether a session has carried its message by SMTP in place of Graph."""
    if isinstance(session, GraphThenSmtp):
        session = session.session
    return isinstance(session, SmtpInstead)


def for_the_message(reaction: Reaction) -> Reaction:
    """What stops the fallback, as it concerns the one message that needs it."""
    if reaction.action is Action.REFRESH_TOKEN and reaction.then is not None:
        return refresh_token(for_the_message(reaction.then))
    if reaction.action is Action.HOLD:
        return set_aside(reaction.diagnosis)
    return retry(reaction.diagnosis)


def _narrowed(answer: Answer) -> Answer:
    if answer.outcome is Outcome.DELIVERED:
        return answer
    reaction = answer.reaction or react(answer.phase, answer.reply)
    if reaction.scope in (Scope.HOST, Scope.TENANT):
        reaction = for_the_message(reaction)
    return evolve(answer, reaction=reaction)
