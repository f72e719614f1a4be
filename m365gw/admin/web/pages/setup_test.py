"""The set-up's last step: a test mail, followed to Microsoft's answer."""

from __future__ import annotations

from m365gw.admin.refusal import Refusal
from m365gw.admin.send_test_api import Following, TestMail
from m365gw.admin.web.changing import caller
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.set_up import framed
from m365gw.admin.web.view import Answer, Fields, Page, Redirect, View
from m365gw.microsoft.diagnosis import Diagnosis


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    console.get("/setup/test", pages.show, role="operator")
    console.post("/setup/test", pages.send)


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, view: View) -> Answer:
        if not self._desk.settings().mailbox:
            return Redirect("/setup/mailbox", "First say by which mailbox mail leaves.", "note")
        return await self._page(view, "", None)

    async def send(self, view: View) -> Answer:
        said = view.form
        recipient = said.get("to")
        order = TestMail(mailbox=said.get("mailbox"), recipients=(recipient,) if recipient else ())
        try:
            sent = await self._desk.test_mails.send(order, caller(view))
        except Refusal as trouble:
            return await self._page(view, recipient, trouble)
        return Redirect(Fields((("id", sent["queue_id"]),)).url("/setup/test"))

    async def _page(self, view: View, recipient: str, trouble: Refusal | None) -> Page:
        queue_id, followed = view.query.get("id"), None
        if queue_id:
            following = Following(queue_id, seen=0, seconds=0.0)
            try:
                followed = await self._desk.test_mails.follow(following, caller(view))
            except Refusal as lost:
                trouble = lost
        mailboxes = self._desk.settings().mailbox
        told = followed["mailbox"].get("diagnosis") if followed else None
        return await framed(
            self._desk,
            view,
            "test",
            "setup_test.html",
            trouble.status if trouble else 200,
            mailboxes=[(each.address, each.address) for each in mailboxes],
            recipient=recipient,
            queue_id=queue_id,
            followed=followed,
            told=Diagnosis(**told) if told else None,
            trouble=trouble,
        )
