"""The steps of the set-up, and which of them are done.

What is done is seen from what there is, and nothing is remembered of the way there: so the set-up
can be left at each step, taken up in another browser, gone back in, or done by commands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from m365gw.admin.web.desk import Desk
from m365gw.admin.web.view import Page, View
from m365gw.config.problems import Problem
from m365gw.config.settings import Settings

NOBODY: Final = "00000000-0000-0000-0000-000000000000"  # the app nobody has registered yet
PAUSED: Final = "its set-up is not finished: the app has no id yet"

Row = Mapping[str, Any]


@frozen
class Step:
    """One step: `path` is its page."""

    name: str
    title: str
    path: str
    is_done: bool


async def steps(desk: Desk) -> list[Step]:
    """All steps an operator takes."""
    settings = desk.settings()
    proven = [each for each in await desk.registry.mailboxes() if is_proven(desk, each)]
    may_send = bool(settings.client or settings.network or settings.local)
    return [
        Step("entrance", "Name and ports", "/setup/entrance", bool(settings.listener)),
        Step("mailbox", "Mailbox", "/setup/mailbox", bool(settings.mailbox)),
        Step("tenant", "Microsoft", "/setup/tenant", bool(proven)),
        Step("senders", "Who may send", "/setup/senders", may_send),
        Step("test", "Test mail", "/setup/test", False),
    ]


def is_proven(desk: Desk, mailbox: Row) -> bool:
    """Whether Microsoft has given a token for it, as far as is known here."""
    sign_in = desk.mailbox_sign_ins.of(mailbox["address"])
    asked = desk.acceptance.of(mailbox["address"])
    if (sign_in and sign_in.state == "done") or (asked and asked.state == "accepted"):
        return True
    ends = [each["ends_at"] for each in mailbox.get("credentials", ()) if each["kind"] == "sign-in"]
    return mailbox.get("renews_at") is not None or any(ends)


def is_unfinished(settings: Settings) -> bool:
    """Whether no mail can come in, or none can go out."""
    may_send = settings.local or (settings.listener and (settings.client or settings.network))
    return not (settings.mailbox and may_send)


async def framed(
    desk: Desk, view: View, name: str, template: str, status: int = 200, **values: Any
) -> Page:
    """A page of the set-up: the step of that name, among the others."""
    return Page(template, {"steps": await steps(desk), "here": name, **values}, status)


def by_field(
    problems: Sequence[Problem], fields: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """The words for each field of a form, and those that are about no field.

    `fields` has patterns of a place and its fault, and the field they are about.
    """
    faults: dict[str, str] = {}
    others: list[str] = []
    for problem in problems:
        words = f"{problem.fault[:1].upper()}{problem.fault[1:].rstrip('.')}. {problem.remedy}"
        told = f"{problem.place} {problem.fault}"
        field = next((name for pattern, name in fields.items() if re.search(pattern, told)), "")
        if field and field not in faults:
            faults[field] = words.strip()
        else:
            others.append(words.strip())
    return faults, others
