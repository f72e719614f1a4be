"""Sign-ins of persons are refreshed weekly, so that none dies of 90 days without mail.

Once an hour each mailbox is looked at, one after the other, so that however many there are, one
request at a time is made for this. The first look comes some minutes after the start. When the
last refresh was stands in the vault, so it is known after a restart.

Failures are told to `failed` when somebody has to act: before the mail comes that needs it.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from m365gw.config.settings import Mailbox
from m365gw.relay.tokens.failures import TokenUnavailable
from m365gw.relay.tokens.tokens import Tokens

WEEK = 7 * 86400.0
ROUND = 3600.0  # seconds between two looks at all of them
FIRST_ROUND = 120.0  # seconds after the start

_diagnostics = Logger()


@define(kw_only=True)
class KeepAlive:
    """`failed` is told of a mailbox that cannot sign in, `refreshed` of one that could."""

    tokens: Tokens
    clock: IReactorTime
    failed: Callable[[Mailbox, TokenUnavailable], None]
    refreshed: Callable[[Mailbox], None]
    _failing: set[str] = field(factory=set, init=False)  # addresses
    _rounds: LoopingCall | None = field(default=None, init=False)

    def start(self) -> None:
        """Begin to look after them."""
        rounds = LoopingCall(lambda: Deferred.fromCoroutine(self._round()))
        rounds.clock = self.clock
        self._rounds = rounds
        self.clock.callLater(FIRST_ROUND, self._begin)

    def _begin(self) -> None:
        if self._rounds is not None:
            ended = self._rounds.start(ROUND)
            ended.addErrback(lambda failure: _diagnostics.failure("keep alive", failure=failure))

    def stop(self) -> None:
        """No more of it."""
        rounds, self._rounds = self._rounds, None
        if rounds is not None and rounds.running:
            rounds.stop()

    async def _round(self) -> None:
        for mailbox in self.tokens.signed_in_by_person():
            if self._rounds is None:
                return
            await self._look_after(mailbox)

    async def _look_after(self, mailbox: Mailbox) -> None:
        idle = 0.0 if mailbox.address in self._failing else WEEK
        try:
            if not await self.tokens.refresh_idle(mailbox, idle):
                return
        except TokenUnavailable as problem:
            if problem.reaction != "retry":
                self._failing.add(mailbox.address)
                self.failed(mailbox, problem)
            return
        self._failing.discard(mailbox.address)
        self.refreshed(mailbox)
