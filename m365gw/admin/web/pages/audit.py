"""Who changed what, the newest first."""

from __future__ import annotations

import json
from typing import Any, Final

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.view import Answer, View, page
from m365gw.directory.audit import KEPT, Change
from m365gw.directory.database import DirectoryError

SCREEN: Final = 100


def add(console: Console, desk: Desk) -> None:
    """Put the page in."""

    async def show(view: View) -> Answer:
        wanted = view.query.get("q")
        before = view.query.number("before") or None
        try:
            found = await desk.changes(SCREEN + 1, before, wanted)
        except DirectoryError as error:
            raise Refusal(503, "The audit cannot be read now.", str(error)) from None
        return page(
            "audit.html",
            changes=[_row(each) for each in found[:SCREEN]],
            older=found[SCREEN - 1].id if len(found) > SCREEN else 0,
            query=wanted,
            kept=KEPT,
        )

    console.section("Audit", "/audit", "audit")
    console.get("/audit", show)


def _row(change: Change) -> dict[str, Any]:
    detail = ", ".join(f"{name}: {_words(value)}" for name, value in change.detail.items())
    return {
        "at": change.at,
        "by": change.by,
        "action": change.action,
        "subject": change.subject,
        "detail": detail,
    }


def _words(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)
