"""Access tokens for mailboxes: at hand when a connection needs one, and asked for only once.

A token that lives is given out without delay. Ten minutes before its end a new one is fetched
beside it; when that fails the old one serves on, and it is tried again a minute later. However many
ask for one mailbox, one request is under way. Lives are measured by a monotonic clock, so a clock
that is set does no harm.

Failures: `TokenUnavailable`. Tokens stand in no log, text or repr.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from zlib import crc32

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, DeferredLock
from twisted.python.failure import Failure

from m365gw.config.mailboxes import USER_FLOWS
from m365gw.config.settings import Mailbox
from m365gw.events import EventLog
from m365gw.microsoft.clouds import Cloud
from m365gw.relay.threads import Calls
from m365gw.relay.tokens.applications import OpenSession, SecretStore
from m365gw.relay.tokens.credential_ends import CredentialEnd, credential_ends
from m365gw.relay.tokens.failures import Grant, TokenUnavailable, unavailable
from m365gw.relay.tokens.flows import AppFlow, Flow, IdentityFlow
from m365gw.relay.tokens.https import Fault, https_session
from m365gw.relay.tokens.sign_in import used_at
from m365gw.relay.tokens.user_flow import UserFlow

RENEW_AHEAD = 600.0  # seconds before a token's end; at most half its life
RENEW_SPREAD = 300.0  # the renewals of many mailboxes begin over so many seconds more
RENEW_AGAIN = 60.0  # seconds between attempts to renew a token that still serves


def by_either_exit(mailbox: Mailbox) -> tuple[Mailbox, Mailbox]:
    """A mailbox as it signs in for SMTP, and for Graph: a token is good for one of them."""
    return evolve(mailbox, exit="smtp"), evolve(mailbox, exit="graph")


@define
class Held:
    """The token of one mailbox, and when it ends (monotonic)."""

    grant: Grant
    ends_at: float

    def left(self, now: float) -> float:
        return self.ends_at - now


@define
class Account:
    """One mailbox: how it gets tokens, the one it has, and who waits for a new one."""

    mailbox: Mailbox
    flow: Flow
    held: Held | None = None
    waiting: list[Deferred[Grant]] = field(factory=list)
    is_asking: bool = False
    renew_from: float = 0.0  # not before this (monotonic), after a renewal that failed
    failed: str = ""  # key of the last diagnosis; equal failures in a row, and since when
    failures: int = 0
    failing_since: float = 0.0

    @property
    def renew_ahead(self) -> float:
        """Seconds before the end of its token, the same for a mailbox each time."""
        return RENEW_AHEAD + crc32(self.mailbox.address.encode()) % 1000 / 1000 * RENEW_SPREAD

    def believed(self, problem: TokenUnavailable, now: float) -> TokenUnavailable:
        """This failure, or a temporary one as long as it may be just one bad answer."""
        if problem.diagnosis.key != self.failed:
            self.failed, self.failures, self.failing_since = problem.diagnosis.key, 0, now
        self.failures += 1
        if not problem.attempts or (
            self.failures > problem.attempts and now - self.failing_since >= problem.patience
        ):
            return problem
        return TokenUnavailable("retry", problem.diagnosis, problem.retry_after)


class Tokens:
    """The tokens of all mailboxes.

    `clouds` maps the names mailboxes use; `calls` runs what blocks; `open_session` gives the https
    session for a cloud.
    """

    def __init__(
        self,
        clouds: Mapping[str, Cloud],
        vault: SecretStore,
        log: EventLog,
        calls: Calls,
        *,
        mailboxes: Collection[Mailbox] = (),
        open_session: OpenSession = https_session,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clouds = clouds
        self._vault = vault
        self._log = log
        self._calls = calls
        self._open_session = open_session
        self._monotonic = monotonic
        self._clock = clock
        self._mailboxes = tuple(mailboxes)
        self._accounts: dict[Mailbox, Account] = {}
        self._turns: dict[str, DeferredLock] = {}  # by address

    def configure(self, clouds: Mapping[str, Cloud], mailboxes: Collection[Mailbox]) -> None:
        """From now on these are the clouds and mailboxes. The tokens of others are forgotten."""
        known = {each for mailbox in mailboxes for each in by_either_exit(mailbox)}
        for mailbox in list(self._accounts):
            is_same = clouds.get(mailbox.cloud) == self._clouds[mailbox.cloud]
            if mailbox not in known or not is_same:
                del self._accounts[mailbox]
        self._clouds = clouds
        self._mailboxes = tuple(mailboxes)

    async def token(self, mailbox: Mailbox, *, min_life: float = 300.0, force: bool = False) -> str:
        """An access token that lives for `min_life` seconds or more, where Entra gives such ones.

        It is good for the exit the mailbox has: give `by_either_exit(mailbox)` for a certain one.
        `force`: the one given out last was refused; it is dropped and a new one fetched. Raises
        `TokenUnavailable`.
        """
        account = self._account(mailbox)
        if force:
            account.held = None
        held, now = account.held, self._monotonic()
        if held is None or held.left(now) < min(min_life, held.grant.life / 2):
            return (await self._asked(account, fresh=force or held is not None)).token
        if (
            held.left(now) < min(account.renew_ahead, held.grant.life / 2)
            and now >= account.renew_from
        ):
            self._ask(account, fresh=True)
        return held.grant.token

    def renews_in(self, mailbox: Mailbox) -> float | None:
        """Seconds until the token of a mailbox is renewed, if it is used then; None without one."""
        account = self._accounts.get(mailbox)
        if account is None or account.held is None:
            return None
        left = account.held.left(self._monotonic())
        return max(0.0, left - min(account.renew_ahead, account.held.grant.life / 2))

    def ends_in(self, mailbox: Mailbox) -> float | None:
        """Seconds until the token of a mailbox ends; None without one."""
        account = self._accounts.get(mailbox)
        if account is None or account.held is None:
            return None
        return account.held.left(self._monotonic())

    def has_new_sign_in(self, mailbox: Mailbox) -> bool:
        """Whether what a mailbox signs in with has changed since it last asked. Blocking.

        The command `m365gw mailbox signin` does so beside the running service, and whoever puts a
        new secret or certificate where it belongs.
        """
        account = self._accounts.get(mailbox)
        return account is not None and account.flow.has_new_sign_in()

    def signed_in_by_person(self) -> list[Mailbox]:
        """The mailboxes that live on a person's sign-in."""
        return [mailbox for mailbox in self._mailboxes if mailbox.flow in USER_FLOWS]

    async def refresh_idle(self, mailbox: Mailbox, idle: float) -> bool:
        """Refresh a person's sign-in that was not used for so many seconds; whether it was.

        Raises `TokenUnavailable`, also when nobody has signed in.
        """
        used = await self._calls.call(used_at, self._vault, mailbox)
        if self._clock() - used < idle:
            return False
        await self._asked(self._account(mailbox), fresh=True)
        return True

    async def credential_ends(self) -> list[CredentialEnd]:
        """When what the mailboxes sign in with will end."""
        return await self._calls.call(self._credential_ends)

    def _credential_ends(self) -> list[CredentialEnd]:
        return [end for each in self._mailboxes for end in credential_ends(each, self._vault)]

    def _account(self, mailbox: Mailbox) -> Account:
        account = self._accounts.get(mailbox)
        if account is None:
            account = self._accounts[mailbox] = Account(mailbox, self._flow(mailbox))
        return account

    def _flow(self, mailbox: Mailbox) -> Flow:
        cloud = self._clouds[mailbox.cloud]
        if mailbox.flow in USER_FLOWS:
            return UserFlow(mailbox, cloud, self._open_session, self._vault)
        if mailbox.flow == "managed-identity":
            return IdentityFlow(mailbox, cloud, self._open_session)
        return AppFlow(mailbox, cloud, self._open_session, self._vault)

    async def _asked(self, account: Account, *, fresh: bool) -> Grant:
        """The answer to the request under way, or to a new one. One waiter may be cancelled."""
        answer: Deferred[Grant] = Deferred()
        account.waiting.append(answer)
        self._ask(account, fresh=fresh)
        return await answer

    def _ask(self, account: Account, *, fresh: bool) -> None:
        if not account.is_asking:
            account.is_asking = True
            asked = Deferred.fromCoroutine(self._acquired(account, fresh))
            asked.addCallbacks(partial(self._take, account), partial(self._fail, account))

    async def _acquired(self, account: Account, fresh: bool) -> Grant:
        """The tokens of one mailbox for either exit come from one sign-in: one after the other, or
        one would write over what the other has just stored of it."""
        async with self._turns.setdefault(account.mailbox.address, DeferredLock()):
            return await self._calls.call(account.flow.acquire, fresh=fresh)

    def _take(self, account: Account, grant: Grant) -> None:
        account.held = Held(grant, self._monotonic() + grant.life)
        account.failed = ""
        self._log.emit(
            "token.acquired",
            "entra",
            note=f"by {grant.proof}" if grant.proof else "",
            mailbox=account.mailbox.address,
            life=int(grant.life),
        )
        for answer in self._answered(account):
            answer.callback(grant)

    def _fail(self, account: Account, failure: Failure) -> None:
        problem = failure.value
        if not isinstance(problem, TokenUnavailable):
            # Not foreseen, so temporary; its text is not known to be free of secrets.
            problem = unavailable(Fault(), account.mailbox, cause=type(problem).__name__)
        now = self._monotonic()
        problem = account.believed(problem, now)
        account.renew_from = now + max(RENEW_AGAIN, problem.retry_after)
        self._log.emit(
            "token.unavailable",
            "entra",
            level="warn",
            mailbox=account.mailbox.address,
            reason=problem.diagnosis.key,
            note=str(problem),
        )
        for answer in self._answered(account):
            answer.errback(problem)

    def _answered(self, account: Account) -> list[Deferred[Grant]]:
        """Those who waited and still do."""
        waiting, account.waiting, account.is_asking = account.waiting, [], False
        return [answer for answer in waiting if not answer.called]
