"""A backup, sealed with a passphrase before it leaves the gateway."""

from __future__ import annotations

import time

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.view import Answer, File, View, page
from m365gw.directory.backup import BackupError
from m365gw.directory.database import DirectoryError
from m365gw.directory.passphrase import SHORTEST, sealed


def add(console: Console, desk: Desk) -> None:
    """Put the page in."""

    def show(view: View) -> Answer:
        return page("backup.html", shortest=SHORTEST)

    async def make(view: View) -> Answer:
        """It holds all but the mail, and whoever can open it can send as the mailboxes."""
        phrase = view.form.raw("passphrase")
        if phrase != view.form.raw("again"):
            raise Refusal(422, "The two passphrases differ.", "", "Type them again.")
        if len(phrase) < SHORTEST:
            raise Refusal(
                422,
                "The passphrase is too short.",
                f"{SHORTEST} characters at least.",
                "Several words are best.",
            )
        try:
            octets = await desk.calls.call(lambda: sealed(phrase, desk.backup()))
        except (BackupError, DirectoryError, OSError) as error:
            raise Refusal(503, "The backup was not made.", str(error)) from None
        desk.audit(view.by, "backup.made", view.arrival.place)
        day = time.strftime("%Y-%m-%d-%H%M", time.localtime(view.now))
        return File(octets, f"m365gw-backup-{day}")

    console.section("Backup", "/backup", "disk")
    console.get("/backup", show, role="operator")
    console.post("/backup", make)
