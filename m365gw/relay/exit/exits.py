"""Which exit a message takes, as its mailbox is set up: SMTP or Graph, with the other one as the
stated fallback, or a connector of the tenant.

exit     fallback  what happens
connector          SMTP to the host of the tenant, which knows us by certificate or address
smtp               SMTP
graph              Graph; what it cannot carry gets the outcome of its obstacle
smtp     graph     SMTP; Graph as long as SMTP AUTH is forbidden for the mailbox
graph    smtp      Graph; SMTP for what Graph cannot carry or refuses as it stands

Whether SMTP AUTH is allowed again is asked with one message an hour. No use of a fallback is
silent: each is logged, and `shown` tells of them; that SMTP is shut is an incident. Where a mailbox
has no exit left for a message only that message waits, in hold with words; others of the mailbox
go on.

Failures: `AttemptFailed` and `TokenUnavailable` from `checkout`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from attrs import asdict, define, evolve
from twisted.internet.interfaces import IReactorTime

from m365gw.config.settings import Governor as Limits
from m365gw.config.settings import Mailbox
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.microsoft import no_token
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.graph_obstacles import reply_of
from m365gw.microsoft.reactions import retry, set_aside
from m365gw.microsoft.replies import Phase, react
from m365gw.relay.exit.by_connector import ByConnector
from m365gw.relay.exit.connection import AttemptFailed, Connection
from m365gw.relay.exit.graph import GraphExit
from m365gw.relay.exit.graph_fit import Carriage, Unfit, fitted
from m365gw.relay.exit.graph_session import GraphSession
from m365gw.relay.exit.instead import GraphThenSmtp, SmtpInstead, for_the_message
from m365gw.relay.exit.pool import Pool
from m365gw.relay.exit.transaction import Transaction
from m365gw.relay.tokens.failures import TokenUnavailable

AnySession = Connection | ByConnector | GraphSession | SmtpInstead | GraphThenSmtp

NAMES: Final = {"smtp": "SMTP", "graph": "Graph"}
ASK_AGAIN: Final = 3600.0  # seconds until SMTP AUTH that was forbidden is tried anew

# What says that SMTP AUTH is forbidden, and not that something is wrong with the sign-in.
FORBIDDEN: Final = frozenset(
    {"smtp-auth-disabled-tenant", "smtp-auth-disabled-mailbox", "security-defaults"}
)
SHUT: Final = "exit-shut"  # the key of its incident


@define
class Use:
    """The fallback of one mailbox in use. Times are in seconds since the epoch."""

    exit: str  # the one that is used instead
    since: float
    why: str = ""  # of the last message
    messages: int = 0
    last: float = 0.0


@define
class Ban:
    """SMTP AUTH is forbidden for a mailbox, as far as is known."""

    diagnosis: Diagnosis
    until: float


class Exits:
    """Gives out sessions for messages, and takes them back."""

    def __init__(
        self,
        pool: Pool,
        graph: GraphExit,
        limits: Limits,
        clock: IReactorTime,
        log: EventLog,
        incidents: Incidents,
    ) -> None:
        self._pool = pool
        self._graph = graph
        self._limits = limits
        self._clock = clock
        self._log = log
        self._incidents = incidents
        self._bans: dict[str, Ban] = {}
        self._uses: dict[str, Use] = {}

    def configure(self, limits: Limits, changed: Iterable[str]) -> None:
        """From now on these are the limits. What is known of `changed` mailboxes is forgotten."""
        self._limits = limits
        for address in changed:
            self._bans.pop(address, None)
            self._uses.pop(address, None)
            self._incidents.close(SHUT, note="it was set up anew", mailbox=address)

    def ask_again(self, address: str) -> None:
        """SMTP AUTH may be allowed again: the next message of this mailbox finds out."""
        if address in self._bans:
            self._bans[address].until = 0.0

    def shown(self, mailbox: Mailbox) -> dict[str, Any]:
        """The exits of a mailbox, and the use of its fallback or null, as JSON shows them."""
        use = self._uses.get(mailbox.address)
        return {
            "exit": mailbox.exit,
            "fallback": mailbox.fallback,
            "fallback_use": None if use is None else asdict(use),
        }

    async def checkout(
        self, mailbox: Mailbox, transaction: Transaction, *, fresh_token: bool = False
    ) -> AnySession:
        """A session for this transaction; give it back with `checkin` or `discard`."""
        if mailbox.exit == "connector":
            connection = await self._pool.checkout(mailbox, fresh_token=fresh_token)
            return ByConnector(connection, mailbox.address)
        if mailbox.exit == "smtp" and not mailbox.fallback:
            return await self._pool.checkout(mailbox, fresh_token=fresh_token)
        if mailbox.exit == "smtp":
            return await self._smtp_first(mailbox, transaction, fresh_token)
        return await self._graph_first(mailbox, transaction, fresh_token)

    def checkin(self, mailbox: Mailbox, session: AnySession) -> None:
        """Take a session back. A connection is kept when it can carry another message."""
        if isinstance(session, GraphThenSmtp):
            session = session.session
        if isinstance(session, GraphSession):
            self._graph.end(session)
        else:
            self._pool.checkin(mailbox, _connection(session))

    def discard(self, session: AnySession) -> None:
        """End a session that shall not be used again."""
        if isinstance(session, GraphThenSmtp):
            session = session.session
        if isinstance(session, GraphSession):
            self._graph.end(session)
        else:
            self._pool.discard(_connection(session))

    async def close(self) -> None:
        """End the connections that wait; returns when all have ended."""
        await self._pool.close()

    async def _graph_first(
        self, mailbox: Mailbox, transaction: Transaction, fresh_token: bool
    ) -> AnySession:
        async def by_smtp(reason: Diagnosis) -> SmtpInstead:
            return await self._by_smtp(mailbox, reason)

        try:
            carriage = self._fitted(mailbox, transaction)
        except Unfit as unfit:
            if mailbox.fallback:
                return await self._by_smtp(mailbox, unfit.obstacle.diagnosis, fresh_token)
            raise _not_carried(unfit) from None
        session = await self._graph.checkout(mailbox, carriage, fresh_token=fresh_token)
        if mailbox.fallback:
            return GraphThenSmtp(session, self._graph.end, by_smtp)
        return session

    async def _by_smtp(
        self, mailbox: Mailbox, reason: Diagnosis, fresh: bool = False
    ) -> SmtpInstead:
        """SMTP for one message. Raises `AttemptFailed` that concerns this message alone."""
        self._note_use(mailbox, "smtp", reason)
        try:
            by_smtp = evolve(mailbox, exit="smtp")
            return SmtpInstead(await self._pool.checkout(by_smtp, fresh_token=fresh))
        except AttemptFailed as failed:
            reaction = failed.reaction or react(failed.phase, failed.reply)
            reply = failed.reply
        except TokenUnavailable as problem:
            is_passing = problem.reaction == "retry"
            reaction = (retry if is_passing else set_aside)(problem.diagnosis)
            reply = no_token.reply_of(problem.diagnosis)
        raise AttemptFailed(Phase.CONNECT, reply, for_the_message(reaction))

    async def _smtp_first(
        self, mailbox: Mailbox, transaction: Transaction, fresh_token: bool
    ) -> AnySession:
        ban, now = self._bans.get(mailbox.address), self._clock.seconds()
        if ban is None or ban.until <= now:
            if ban is not None:
                ban.until = now + ASK_AGAIN  # others need not ask meanwhile
            try:
                session = await self._pool.checkout(mailbox, fresh_token=fresh_token)
            except AttemptFailed as failed:
                ban = self._forbidden(mailbox, failed) or ban
                if ban is None:
                    raise
            else:
                self._allow(mailbox)
                return session
        try:
            carriage = self._fitted(mailbox, transaction)
        except Unfit as unfit:
            raise _not_carried(unfit) from None
        self._note_use(mailbox, "graph", ban.diagnosis)
        return await self._graph.checkout(mailbox, carriage, fresh_token=fresh_token)

    def _fitted(self, mailbox: Mailbox, transaction: Transaction) -> Carriage:
        return fitted(transaction, mailbox.address, self._limits.graph_request_limit)

    def _forbidden(self, mailbox: Mailbox, failed: AttemptFailed) -> Ban | None:
        """That SMTP AUTH is forbidden for a mailbox, if that is what made it fail."""
        diagnosis = react(failed.phase, failed.reply).diagnosis
        if diagnosis.key not in FORBIDDEN:
            return None
        until = self._clock.seconds() + ASK_AGAIN
        ban = self._bans[mailbox.address] = Ban(diagnosis, until)
        self._incidents.open(_shut(mailbox, diagnosis), mailbox=mailbox.address)
        return ban

    def _allow(self, mailbox: Mailbox) -> None:
        """SMTP works (again): what forbade it is over."""
        self._incidents.close(SHUT, mailbox=mailbox.address)  # also one of an earlier process
        if self._bans.pop(mailbox.address, None) is not None:
            self._uses.pop(mailbox.address, None)
            note = "SMTP AUTH is allowed again: mail leaves by SMTP"
            self._log.emit("exit.restored", "qmgr", mailbox=mailbox.address, note=note)

    def _note_use(self, mailbox: Mailbox, exit: str, reason: Diagnosis) -> None:
        """A message takes the fallback, which is said each time."""
        now = self._clock.seconds()
        told = reason.about(
            mailbox=mailbox.address, tenant=mailbox.tenant, client_id=mailbox.client_id
        )
        use = self._uses.setdefault(mailbox.address, Use(exit, now))
        use.why, use.last, use.messages = f"{told.what} {told.why}", now, use.messages + 1
        self._log.emit(
            "exit.fallback",
            "qmgr",
            level="warn",
            mailbox=mailbox.address,
            exit=exit,
            note=f"a message leaves by {NAMES[exit]} instead: {told.what}",
        )


def _shut(mailbox: Mailbox, forbidden: Diagnosis) -> Diagnosis:
    """That mail takes the other way, for whoever can open the first one."""
    address = mailbox.address
    told = forbidden.about(mailbox=address, tenant=mailbox.tenant, client_id=mailbox.client_id)
    return Diagnosis(
        SHUT,
        f"SMTP is shut for {address}: its mail leaves by Graph, its fallback.",
        f"{told.what} {told.why} Mail goes on; what Graph cannot carry is held.",
        f"{told.fix} One message an hour asks whether it is open again; at once: m365gw mailbox"
        f" retry {address}. To stay with Graph, the operator sets it as the exit.",
        told.who,
    )


def _connection(session: Connection | ByConnector | SmtpInstead) -> Connection:
    return session.connection if isinstance(session, ByConnector | SmtpInstead) else session


def _not_carried(unfit: Unfit) -> AttemptFailed:
    return AttemptFailed(Phase.CONNECT, reply_of(unfit.obstacle), unfit.obstacle)
