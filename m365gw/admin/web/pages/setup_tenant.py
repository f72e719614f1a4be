"""The set-up's step at Microsoft: the script and the certificate, or somebody's sign-in."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.changing import tried
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.pages.setup_mailbox import WAYS, pause_or_resume
from m365gw.admin.web.set_up import NOBODY, by_field, framed, is_proven
from m365gw.admin.web.tenant_script import key_pair_of, octets_of, script_of
from m365gw.admin.web.view import Answer, File, Page, Redirect, View
from m365gw.config.settings import Mailbox
from m365gw.directory.orders import ChangeMailbox
from m365gw.directory.registry import Rejected


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    console.get("/setup/tenant", pages.show, role="operator")
    console.post("/setup/tenant", pages.save)
    console.get("/setup/tenant/script", pages.script, role="operator")
    console.get("/setup/tenant/certificate", pages.certificate, role="operator")
    console.post("/setup/tenant/check", pages.check)
    console.post("/setup/tenant/code", pages.code)
    console.get("/setup/tenant/browser", pages.browser, role="operator")


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._sign_ins = desk.mailbox_sign_ins
        self._acceptance = desk.acceptance

    async def show(self, view: View) -> Answer:
        if not self._desk.settings().mailbox:
            return Redirect("/setup/mailbox", "First say which mailbox.", "note")
        return await self._page(view, {}, [])

    async def save(self, view: View) -> Answer:
        """The ids that the script has printed."""
        mailbox, said = self._mailbox(view), view.form
        values: dict[str, Any] = {"client_id": said.get("client_id") or NOBODY}
        if said.get("client_secret"):
            values["client_secret"] = said.get("client_secret")
        try:
            await tried(self._desk, ChangeMailbox(mailbox.address, values), view)
        except Rejected as rejected:
            fields = {r"client_id": "client_id", r"client.secret": "client_secret"}
            return await self._page(view, *by_field(rejected.problems, fields))
        await pause_or_resume(self._desk, view, mailbox.address, values["client_id"])
        if mailbox.flow == "certificate":
            self._acceptance.ask(mailbox.address)
        return Redirect(_path(mailbox))

    def check(self, view: View) -> Answer:
        mailbox = self._mailbox(view)
        self._acceptance.ask(mailbox.address)
        return Redirect(_path(mailbox))

    async def code(self, view: View) -> Answer:
        mailbox = self._mailbox(view)
        await self._sign_ins.by_code(view, mailbox.address)
        return Redirect(_path(mailbox))

    async def browser(self, view: View) -> Answer:
        mailbox = self._mailbox(view)
        return await self._sign_ins.by_browser(view, mailbox.address, _path(mailbox))

    def script(self, view: View) -> Answer:
        mailbox = self._mailbox(view)
        try:
            text = script_of(mailbox, self._sign_ins.redirect_uri(view))
        except ValueError as problem:
            raise Refusal(404, "No script can be written for it.", str(problem)) from None
        return File(text.encode(), f"set-up-{mailbox.address}.ps1")

    def certificate(self, view: View) -> Answer:
        mailbox = self._mailbox(view)
        pair = key_pair_of(mailbox)
        if pair is None:
            raise Refusal(404, "There is no certificate to give out.", "None was made here.")
        return File(octets_of(pair), f"{mailbox.address}.cer")

    async def _page(self, view: View, faults: dict[str, str], others: list[str]) -> Page:
        mailbox = self._mailbox(view)
        rows = await self._desk.registry.mailboxes()
        row = next((each for each in rows if each["address"] == mailbox.address), None)
        try:
            script = script_of(mailbox, self._sign_ins.redirect_uri(view))
        except ValueError:
            script = ""
        return await framed(
            self._desk,
            view,
            "tenant",
            "setup_tenant.html",
            422 if faults or others else 200,
            mailbox=mailbox,
            query=f"?mailbox={quote(mailbox.address, safe='@')}",
            way=WAYS.get(mailbox.flow, (mailbox.flow, ""))[0],
            has_app=mailbox.client_id != NOBODY,
            is_proven=row is not None and is_proven(self._desk, row),
            pair=key_pair_of(mailbox),
            script=script,
            redirect_uri=self._sign_ins.redirect_uri(view),
            asked=self._acceptance.of(mailbox.address),
            sign_in=self._sign_ins.of(mailbox.address),
            faults=faults,
            others=others,
        )

    def _mailbox(self, view: View) -> Mailbox:
        """The one that is named; without a name the first. Raises `Refusal`."""
        wanted = (view.form.get("mailbox") or view.query.get("mailbox")).casefold()
        known = self._desk.settings().mailbox
        for each in known:
            if not wanted or each.address.casefold() == wanted:
                return each
        raise Refusal(404, "There is no such mailbox.", "", "Go back to the step before.")


def _path(mailbox: Mailbox) -> str:
    return f"/setup/tenant?mailbox={quote(mailbox.address, safe='@')}"
