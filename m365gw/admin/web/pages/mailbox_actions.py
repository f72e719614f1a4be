"""What is done to a mailbox: pause, resume, try again, renew its certificate, remove it."""

from __future__ import annotations

from m365gw.admin.states_api import Addressed, Pausing
from m365gw.admin.web.changing import caller, carried_out
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.mailbox_words import path_of
from m365gw.admin.web.pages.mailboxes import found
from m365gw.admin.web.view import Answer, Redirect, View
from m365gw.directory.orders import RemoveMailbox, RenewCertificate
from m365gw.words import counted


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    for action in (pages.pause, pages.resume, pages.retry, pages.renew, pages.remove):
        console.post(f"/mailboxes/<address>/{action.__name__}", action)


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def pause(self, view: View) -> Answer:
        row = await found(self._desk, view.names["address"])
        order = Pausing(row["address"], view.form.get("reason"))
        await self._desk.states.pause(order, caller(view))
        self._desk.audit(view.by, "mailbox.paused", row["address"])
        waits = "Its mail is kept, and does not grow older."
        return Redirect(path_of(row["address"]), f"{row['address']} is paused. {waits}")

    async def resume(self, view: View) -> Answer:
        row = await found(self._desk, view.names["address"])
        await self._desk.states.resume(Addressed(row["address"]), caller(view))
        self._desk.audit(view.by, "mailbox.resumed", row["address"])
        return Redirect(path_of(row["address"]), f"{row['address']} goes on.")

    async def retry(self, view: View) -> Answer:
        row = await found(self._desk, view.names["address"])
        await self._desk.states.retry(Addressed(row["address"]), caller(view))
        self._desk.audit(view.by, "mailbox.retried", row["address"])
        return Redirect(path_of(row["address"]), f"{row['address']} is tried now.", "note")

    async def renew(self, view: View) -> Answer:
        row = await found(self._desk, view.names["address"])
        await carried_out(self._desk, RenewCertificate(row["address"]), view)
        words = "The new certificate is made. The old one serves until Entra takes the new one."
        return Redirect(path_of(row["address"], "/set-up"), words)

    async def remove(self, view: View) -> Answer:
        row = await found(self._desk, view.names["address"])
        await carried_out(self._desk, RemoveMailbox(row["address"]), view)
        waits = row.get("waits", 0)
        kept = f" {counted(waits, 'message')} for it stay in the queue." if waits else ""
        return Redirect("/mailboxes", f"{row['address']} is removed, with its sign-in.{kept}")
