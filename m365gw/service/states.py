"""Mailboxes of the running service, paused, resumed and retried by an operator.

A pause is one more reason not to send (`relay.stops`): it is written down with the others within a
second, and so lasts over restarts. What is being delivered when it begins comes to its end.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime

from m365gw.admin.http import Caller
from m365gw.admin.refusal import Refusal
from m365gw.admin.states_api import Addressed, Pausing
from m365gw.relay.stops.pauses import paused
from m365gw.service.mail_out import MailOut


class States:
    """Says which mailboxes may send. Each call gives the mailbox as it is then."""

    def __init__(self, mail_out: MailOut, clock: IReactorTime) -> None:
        self._out = mail_out
        self._clock = clock

    async def pause(self, order: Pausing, caller: Caller) -> dict[str, Any]:
        """Send nothing by a mailbox until it is resumed. Raises `Refusal`."""
        address = self._known(order.address)
        try:
            told = paused(address, order.reason, caller.name)
        except ValueError as error:
            raise Refusal(400, str(error)) from None
        now = self._clock.seconds()
        self._out.mailboxes.resume(address, now)  # a new reason takes the place of the old one
        self._out.mailboxes.pause(address, told, now)
        self._out.dispatch.turn()
        return self._plain(address)

    async def resume(self, order: Addressed, caller: Caller) -> dict[str, Any]:
        """Let a mailbox go on: what waits goes at once. Raises `Refusal`."""
        address = self._known(order.address)
        self._out.mailboxes.resume(address, self._clock.seconds())
        self._out.way.exits.ask_again(address)
        await self._out.operations.flush(address)
        return self._plain(address)

    async def retry(self, order: Addressed, caller: Caller) -> dict[str, Any]:
        """Try a mailbox now, as what stopped it may be mended. Raises `Refusal`."""
        address = self._known(order.address)
        self._out.way.exits.ask_again(address)
        await self._out.operations.flush(address)
        return self._plain(address)

    def _known(self, address: str) -> str:
        """The mailbox of that address, as it is written. Raises `Refusal`."""
        for each in self._out.mailboxes.addresses:
            if each.casefold() == address.casefold():
                return each
        known = ", ".join(self._out.mailboxes.addresses) or "none"
        raise Refusal(404, f"There is no mailbox {address}.", f"Known: {known}.")

    def _plain(self, address: str) -> dict[str, Any]:
        return next(each.plain() for each in self._out.overview() if each.address == address)
