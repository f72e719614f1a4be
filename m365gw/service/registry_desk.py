"""The registry of the running service: what there is, and changes that hold when they are answered.

A change is written in a thread, and then the gateway goes on with it as with a reload, so the next
login is decided by it. One that was written is never undone: where the gateway cannot go on with it
now, its answer says so, and it is tried again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf
from typing import Any, Final

from attrs import asdict
from twisted.internet.interfaces import IReactorTime

from m365gw.admin.refusal import Refusal
from m365gw.directory.facts import Facts, Row
from m365gw.directory.orders import Answer, Order
from m365gw.directory.registry import Registry
from m365gw.relay.tokens.credential_ends import CredentialEnd
from m365gw.service.directory import Directory
from m365gw.service.mail_out import MailOut
from m365gw.service.reload import Ending, Rejected, Reload

LOOK_AGAIN: Final = 60.0  # seconds


class RegistryDesk:
    """Answers for mailboxes, clients and networks."""

    def __init__(
        self, directory: Directory, reload: Reload, out: MailOut, clock: IReactorTime
    ) -> None:
        self._directory = directory
        self._reload = reload
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
            seconds = self._out.tokens.renews_in(mailbox)
            rows[mailbox.address]["renews_at"] = None if seconds is None else now + seconds
        return list(rows.values())

    async def _look_at_credentials(self) -> None:
        """Once a minute at most: listings are asked for more often than credentials change."""
        if self._clock.seconds() - self._looked_at >= LOOK_AGAIN:
            self._looked_at = self._clock.seconds()
            self._ends = await self._out.tokens.credential_ends()

    def clients(self) -> list[Row]:
        """GET /clients."""
        return self.facts().clients(self._directory.usage.uses, datetime.now(UTC).date())

    def networks(self) -> list[Row]:
        """GET /networks."""
        return self.facts().networks()

    def listeners(self) -> list[Row]:
        """GET /listeners."""
        return self.facts().listeners()

    def settings(self) -> list[Row]:
        """GET /settings."""
        return self.facts().single_settings()

    async def carry_out(self, order: Order, by: str) -> Answer:
        """Make a change, and go on with it. Raises what the order does, and `Refusal`."""
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
