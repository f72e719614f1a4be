"""What the administrator of the tenant gets for a mailbox: the certificate, and the script.

Both are made from what the gateway knows of the mailbox; of a key pair only the certificate leaves.
"""

from __future__ import annotations

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.mailbox_words import BY_A_PERSON, Row, shown
from m365gw.admin.web.pages.mailboxes import found
from m365gw.admin.web.tenant_script import key_pair_of, octets_of, script_of
from m365gw.admin.web.view import Answer, File, View, page
from m365gw.config.settings import Mailbox


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    console.get("/mailboxes/<address>/set-up", pages.show, role="operator")
    console.get("/mailboxes/<address>/certificate", pages.certificate, role="operator")
    console.get("/mailboxes/<address>/script", pages.script, role="operator")


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, view: View) -> Answer:
        row = await found(self._desk, view.names["address"])
        mailbox, script, trouble = self._mailbox(row), "", ""
        try:
            script = self._script(view, mailbox)
        except ValueError as problem:
            trouble = str(problem)
        return page(
            "mailbox_set_up.html",
            mailbox=shown(row, view.now),
            pair=key_pair_of(mailbox),
            script=script,
            trouble=trouble,
            is_for_a_person=row["flow"] in BY_A_PERSON,
        )

    async def certificate(self, view: View) -> Answer:
        row = await found(self._desk, view.names["address"])
        pair = key_pair_of(self._mailbox(row))
        if pair is None:
            raise Refusal(
                404,
                "There is no certificate to give out.",
                "Only mailboxes that were made here with flow certificate have one here.",
                "One of the configuration file is where the file says.",
            )
        return File(octets_of(pair), f"{row['address']}.cer")

    async def script(self, view: View) -> Answer:
        """With `?undo=1` the one that takes it all back."""
        row = await found(self._desk, view.names["address"])
        is_undo = bool(view.query.get("undo"))
        try:
            text = self._script(view, self._mailbox(row), is_undo=is_undo)
        except ValueError as problem:
            raise Refusal(404, "No script can be written for it.", str(problem)) from None
        return File(text.encode(), f"{'undo' if is_undo else 'set-up'}-{row['address']}.ps1")

    def _mailbox(self, row: Row) -> Mailbox:
        """With its secrets. Raises `Refusal` for one that is not in force."""
        for mailbox in self._desk.settings().mailbox:
            if mailbox.address == row["address"]:
                return mailbox
        raise Refusal(404, f"{row['address']} is not in force.", "", "The page Settings says why.")

    def _script(self, view: View, mailbox: Mailbox, *, is_undo: bool = False) -> str:
        redirect_uri = self._desk.mailbox_sign_ins.redirect_uri(view)
        return script_of(mailbox, redirect_uri, is_undo=is_undo)
