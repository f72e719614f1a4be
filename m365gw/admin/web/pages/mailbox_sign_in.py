"""A person signs in for a mailbox: by a code that is entered anywhere, or in this browser.

A code is shown to whoever asked for it, and to nobody else. What a sign-in ends with is shown here:
the mailbox that goes on, or the diagnosis of what went wrong.
"""

from __future__ import annotations

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.mailbox_words import BY_A_PERSON, Row, path_of, shown
from m365gw.admin.web.pages.mailboxes import found
from m365gw.admin.web.view import Answer, Redirect, View, page


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    console.get("/mailboxes/<address>/sign-in", pages.show, role="operator")
    console.get("/mailboxes/<address>/sign-in/browser", pages.in_the_browser, role="operator")
    console.post("/mailboxes/<address>/sign-in/code", pages.by_code)


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._sign_ins = desk.mailbox_sign_ins

    async def show(self, view: View) -> Answer:
        """The choice, the code that waits for somebody, or what went wrong."""
        row = await self._mailbox(view)
        address, sign_in = row["address"], self._sign_ins.of(row["address"])
        if sign_in is not None and sign_in.by != view.by:
            sign_in = None
        was_followed = view.part or view.query.get("followed")
        if sign_in is not None and sign_in.state == "done" and was_followed:
            return Redirect(path_of(address), f"{address} is signed in. What waited for it goes.")
        return page(
            "mailbox_sign_in.html",
            mailbox=shown(row, view.now),
            sign_in=sign_in if sign_in is not None and sign_in.state != "done" else None,
            callback=self._sign_ins.redirect_uri(view),
        )

    async def by_code(self, view: View) -> Answer:
        row = await self._mailbox(view)
        await self._sign_ins.by_code(view, row["address"])
        return Redirect(path_of(row["address"], "/sign-in"))

    async def in_the_browser(self, view: View) -> Answer:
        row = await self._mailbox(view)
        if row["flow"] != "web":
            raise Refusal(409, f"{row['address']} signs in by a code, not in a browser.")
        back_to = path_of(row["address"], "/sign-in?followed=1")
        return await self._sign_ins.by_browser(view, row["address"], back_to)

    async def _mailbox(self, view: View) -> Row:
        row = await found(self._desk, view.names["address"])
        if row["flow"] not in BY_A_PERSON:
            raise Refusal(
                409,
                f"{row['address']} signs in by itself.",
                f'It has flow "{row["flow"]}", for which no person is needed.',
            )
        return row
