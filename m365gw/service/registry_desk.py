"""The registry of the running service: what there is, and changes that hold when they are answered.

A change is written in a thread, and then the gateway goes on with it as with a reload, so the next
login is decided by it. One that was written is never undone: where the gateway cannot go on with it
now, its answer says so, and it is tried again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import inf
from typing import Any, Final

from attrs import asdict
from twisted.internet.interfaces import IReactorTime

from m365gw.admin.refusal import Refusal
from m365gw.config.documents import document_of, row_from
from m365gw.config.endpoints import endpoint_fault
from m365gw.config.problems import Problem
from m365gw.config.settings import Listener, Settings
from m365gw.directory.entries import place_of
from m365gw.directory.facts import Facts, Row
from m365gw.directory.orders import AddListener, Answer, ChangeListener, Order, SetSettings
from m365gw.directory.registry import Registry
from m365gw.directory.registry import Rejected as RegistryRejected
from m365gw.edge.listening.listeners import ListenFailed
from m365gw.relay.tokens.credential_ends import CredentialEnd
from m365gw.service.directory import Directory
from m365gw.service.mail_in import MailIn
from m365gw.service.mail_out import MailOut
from m365gw.service.reload import Ending, Rejected, Reload

LOOK_AGAIN: Final = 60.0  # seconds


class RegistryDesk:
    """Answers for mailboxes, clients and networks."""

    def __init__(
        self,
        directory: Directory,
        reload: Reload,
        mail_in: MailIn,
        out: MailOut,
        clock: IReactorTime,
    ) -> None:
        self._directory = directory
        self._reload = reload
        self._in = mail_in
        self._out = out
        self._clock = clock
        self._ends: list[CredentialEnd] = []
        self._looked_at = -inf
        self._registry = Registry(directory.database, directory.vault, lambda: reload.configured)

    def facts(self) -> Facts:
        """All entries as the gateway goes by them."""
        return Facts(self._reload.configured, self._directory.made.known, self._reload.settings)

    async def mailboxes(self) -> list[Row]:
        """GET /mailboxes: what was set, the state, the budget, and when credentials end."""
        await self._look_at_credentials()
        ends: dict[str, list[Row]] = {}
        for end in self._ends:
            ends.setdefault(end.mailbox, []).append(asdict(end))
        facts, now = self.facts(), self._clock.seconds()
        rows = {row["address"]: row for row in facts.mailboxes()}
        for each in self._out.overview():
            if each.address in rows:
                rows[each.address] |= each.plain() | {"credentials": ends.get(each.address, [])}
        for mailbox in facts.settings.mailbox:
            seconds = self._out.way.tokens.renews_in(mailbox)
            rows[mailbox.address]["renews_at"] = None if seconds is None else now + seconds
        return list(rows.values())

    async def _look_at_credentials(self) -> None:
        """Once a minute at most: listings are asked for more often than credentials change."""
        if self._clock.seconds() - self._looked_at >= LOOK_AGAIN:
            self._looked_at = self._clock.seconds()
            self._ends = await self._out.way.tokens.credential_ends()

    def clients(self) -> list[Row]:
        """GET /clients."""
        return self.facts().clients(self._directory.usage.uses, datetime.now(UTC).date())

    def networks(self) -> list[Row]:
        """GET /networks."""
        return self.facts().networks()

    def listeners(self) -> list[Row]:
        """GET /listeners."""
        return self.facts().listeners()

    def single_settings(self) -> list[Row]:
        """GET /settings."""
        return self.facts().single_settings()

    async def carry_out(self, order: Order, by: str) -> Answer:
        """Make a change, and go on with it. Raises what the order does, and `Refusal`."""
        self._check_places(order)
        answer: dict[str, Any] = await self._directory.calls.call(
            order.carry_out, self._registry, by
        )
        self._looked_at = -inf
        try:
            await self._reload.refresh()
        except Ending as ending:
            raise Refusal(
                409, "The change was made, and holds from the next start on.", str(ending)
            ) from None
        except Rejected as rejected:
            raise Refusal(
                503,
                "The change was made, but the gateway cannot go on with it now.",
                " ".join(f"{problem.fault}." for problem in rejected.problems),
                "Mend that; the change is tried again every few seconds.",
            ) from None
        return answer

    def _check_places(self, order: Order) -> None:
        """A port that cannot be had would hold up every later change. Raises `RegistryRejected`."""
        problems = []
        for listener in _wanted_listeners(order, self._reload.settings):
            try:
                self._in.check(listener)
            except ListenFailed as error:
                place = f"{place_of('listener', listener.name)}  endpoint"
                problems.append(Problem(place, str(error)))
        if problems:
            raise RegistryRejected(problems)


def _wanted_listeners(order: Order, settings: Settings) -> Iterator[Listener]:
    """The listeners an order would make; what makes no sense is refused by the registry."""
    documents: Sequence[Mapping[str, Any]] = ()
    if isinstance(order, AddListener):
        documents = [order.values]
    elif isinstance(order, SetSettings):
        documents = order.listeners or ()
    elif isinstance(order, ChangeListener):
        there = [document_of(each) for each in settings.listener if each.name == order.name]
        documents = [{**document, **order.values} for document in there]
    for document in documents:
        known = {key: value for key, value in document.items() if value is not None}
        listener, problems = row_from("listener", known, "")
        if not problems and endpoint_fault(listener.endpoint) is None:
            yield listener
