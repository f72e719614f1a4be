"""Orders to the registry from a page, and who gave them."""

from __future__ import annotations

from m365gw.admin.http import Caller
from m365gw.admin.refusal import Refusal
from m365gw.admin.registry_api import refusal_of
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.view import View
from m365gw.directory.database import DirectoryError
from m365gw.directory.orders import Answer, Order
from m365gw.directory.registry import Rejected
from m365gw.directory.vault import VaultError


def caller(view: View) -> Caller:
    """Who asks, as audit and log name people of the console."""
    return Caller(f"console: {view.by}")


async def tried(desk: Desk, order: Order, view: View) -> Answer:
    """Carry out an order. Raises `Rejected` with each problem, for a form; else `Refusal`."""
    try:
        return await desk.registry.carry_out(order, caller(view).name)
    except (DirectoryError, VaultError) as error:
        raise Refusal(503, "The change was not made.", str(error)) from None


async def carried_out(desk: Desk, order: Order, view: View) -> Answer:
    """The same where there is no form to show problems in. Raises `Refusal`."""
    try:
        return await tried(desk, order, view)
    except Rejected as rejected:
        raise refusal_of(rejected) from None
