"""The page that shows a password or a token, this once."""

from __future__ import annotations

from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.view import Answer, View, page


def add(console: Console, desk: Desk) -> None:
    """Put the page in."""

    def show(view: View) -> Answer:
        return page("once.html", shown=desk.once.take(view))

    console.get("/once/<name>", show, role="operator")
