"""Test mail: sent by an operator through a mailbox, and followed to Microsoft's answer.

It is a real message that takes the way of all mail. The page asks again each second until its
outcome is known; what happens is in the queue as well.
"""

from __future__ import annotations

import re
from typing import Any, Final

from m365gw.admin.refusal import Refusal
from m365gw.admin.send_test_api import Following, TestMail
from m365gw.admin.web.changing import caller
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.mailbox_words import for_the_admin, path_of, remedy_of, told_of
from m365gw.admin.web.view import Answer, Page, Redirect, View, page

OUTCOMES: Final = {
    "sent": ("good", "Microsoft took it."),
    "deferred": ("warn", "It was not taken yet, and is tried again by itself."),
    "held": ("warn", "It waits in hold, until its mailbox is mended or somebody releases it."),
    "uncertain": ("warn", "Nobody knows whether Microsoft took it; it is settled by itself."),
    "bounced": ("bad", "Microsoft refused it for good."),
}
_STEPS: Final = {
    "accepted": ("Accepted", "good"),
    "token": ("Token", "note"),
    "sent": ("Delivered to Microsoft 365", "good"),
    "deferred": ("Not taken yet", "warn"),
    "held": ("Held", "warn"),
    "uncertain": ("Uncertain", "warn"),
    "bounced": ("Refused", "bad"),
}


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    console.section("Test mail", "/test", "test")
    console.get("/test", pages.form)
    console.post("/test", pages.send)
    console.get("/test/<queue_id>", pages.follow)


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def form(self, view: View) -> Answer:
        return self._form({"mailbox": view.query.get("mailbox")})

    async def send(self, view: View) -> Answer:
        form = view.form
        said = {name: form.get(name) for name in ("mailbox", "from", "to", "subject")}
        recipients = tuple(filter(None, re.split(r"[\s,;]+", said["to"])))
        order = TestMail(said["mailbox"], said["from"], recipients, said["subject"])
        try:
            sent = await self._desk.test_mails.send(order, caller(view))
        except Refusal as refusal:
            return self._form(said, refusal)
        self._desk.audit(view.by, "test-mail.sent", sent["queue_id"])
        return Redirect(f"/test/{sent['queue_id']}")

    async def follow(self, view: View) -> Answer:
        queue_id = view.names["queue_id"]
        order = Following(queue_id, 0, 0.0)
        told = await self._desk.test_mails.follow(order, caller(view))
        state, diagnosis = told["mailbox"], None
        remedy, for_admin = None, ""
        if told["outcome"] != "sent":
            diagnosis = told_of(state)
        if diagnosis is not None:
            for row in await self._desk.registry.mailboxes():
                if row["address"] == state["address"]:
                    remedy = remedy_of(row, diagnosis)
            gateway = self._desk.settings().hostname
            for_admin = for_the_admin(state["address"], diagnosis, remedy, gateway)
        tone, words = OUTCOMES.get(told["outcome"], ("note", "It is under way."))
        is_over = bool(told["outcome"]) or diagnosis is not None
        return page(
            "test_mail.html",
            queue_id=queue_id,
            path=f"/test/{queue_id}",
            steps=[_step(each) for each in told["steps"]],
            microsoft_id=_microsoft_id(told["steps"]),
            outcome=told["outcome"],
            tone=tone,
            words=words,
            diagnosis=diagnosis,
            remedy=remedy,
            for_admin=for_admin,
            mailbox=state.get("address", ""),
            mailbox_path=path_of(state.get("address", "")),
            is_over=is_over,
        )

    def _form(self, said: dict[str, str], refusal: Refusal | None = None) -> Page:
        empty = {"mailbox": "", "from": "", "to": "", "subject": ""}
        addresses = [each["address"] for each in self._desk.mailboxes()]
        values: dict[str, Any] = {
            "said": {**empty, **said},
            "refusal": refusal,
            "mailboxes": [(one, one) for one in addresses],
        }
        return Page("test_form.html", values, refusal.status if refusal else 200)


def _step(step: dict[str, Any]) -> dict[str, Any]:
    title, tone = _STEPS.get(step["step"], (step["step"], "note"))
    return {"title": title, "tone": tone, "at": step["at"], "words": step["words"]}


def _microsoft_id(steps: list[dict[str, Any]]) -> str:
    found = [str(each["microsoft_id"]) for each in steps if each.get("microsoft_id")]
    return found[-1] if found else ""
