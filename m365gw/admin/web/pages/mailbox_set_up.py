"""What the administrator of the tenant gets for a mailbox: the certificate, and the script.

Both are made from what the gateway knows of the mailbox; of a key pair only the certificate leaves.
"""

from __future__ import annotations

import base64
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.mailbox_words import BY_A_PERSON, Row, shown
from m365gw.admin.web.pages.mailboxes import found
from m365gw.admin.web.view import Answer, File, View, page
from m365gw.config.key_pairs import KeyPair, Unusable, read_pairs
from m365gw.microsoft.setup_script.plan import ENVIRONMENTS, MODES, Plan
from m365gw.microsoft.setup_script.script import render, render_undo


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
        pair, script, trouble = self._pair(row), "", ""
        try:
            script = render(self._plan(row, view))
        except ValueError as problem:
            trouble = str(problem)
        return page(
            "mailbox_set_up.html",
            mailbox=shown(row, view.now),
            pair=pair,
            script=script,
            trouble=trouble,
            is_for_a_person=row["flow"] in BY_A_PERSON,
        )

    async def certificate(self, view: View) -> Answer:
        row = await found(self._desk, view.names["address"])
        pair = self._pair(row)
        if pair is None:
            raise Refusal(
                404,
                "There is no certificate to give out.",
                "Only mailboxes that were made here with flow certificate have one here.",
                "One of the configuration file is where the file says.",
            )
        return File(_der(pair), f"{row['address']}.cer")

    async def script(self, view: View) -> Answer:
        """With `?undo=1` the one that takes it all back."""
        row = await found(self._desk, view.names["address"])
        is_undo = bool(view.query.get("undo"))
        try:
            text = (render_undo if is_undo else render)(self._plan(row, view))
        except ValueError as problem:
            raise Refusal(404, "No script can be written for it.", str(problem)) from None
        return File(text.encode(), f"{'undo' if is_undo else 'set-up'}-{row['address']}.ps1")

    def _pair(self, row: Row) -> KeyPair | None:
        """Its newest key pair, where it is kept here."""
        for mailbox in self._desk.settings().mailbox:
            if mailbox.address == row["address"] and mailbox.certificate:
                try:
                    return read_pairs(mailbox.certificate.encode())[0]
                except Unusable:
                    return None
        return None

    def _plan(self, row: Row, view: View) -> Plan:
        """What is to be set up. Raises ValueError."""
        mode: Any = row["flow"]
        if row["exit"] == "connector":
            raise ValueError("The script for its connector: m365gw script connector")
        if mode not in MODES:
            raise ValueError(f'Flow "{mode}" is set up on the Azure host, not by a script.')
        pair = self._pair(row)
        is_known = row["cloud"] in ENVIRONMENTS
        return Plan(
            mode=mode,
            mailboxes=(row["address"],),
            tenant=row["tenant"],
            client_id=row["client_id"],
            exit="graph" if row["exit"] == "graph" else "smtp",
            cloud=row["cloud"] if is_known else "worldwide",
            certificate=base64.b64encode(_der(pair)).decode() if pair else "",
            redirect_uri=f"{view.arrival.origin}/auth/callback" if mode == "web" else "",
        )


def _der(pair: KeyPair) -> bytes:
    return x509.load_pem_x509_certificate(pair.chain.encode()).public_bytes(Encoding.DER)
