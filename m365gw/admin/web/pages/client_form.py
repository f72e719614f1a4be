"""Making a login, and changing what it may send; every problem at its field."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from m365gw.admin.web import rule_form
from m365gw.admin.web.changing import tried
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.pages.clients import own, path_of
from m365gw.admin.web.pages.passwords import handed_over, new_password
from m365gw.admin.web.view import Answer, Page, Redirect, View
from m365gw.config.problems import Problem
from m365gw.directory.orders import AddClient, ChangeClient
from m365gw.directory.registry import Rejected

LISTS: Final = ("networks", "realms")
_NAMES: Final = (
    *("login", "label", "password"),
    *rule_form.TEXTS,
    *rule_form.LISTS,
    *rule_form.NUMBERS,
    *LISTS,
)


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    console.get("/clients/add", pages.new, role="operator")
    console.post("/clients/add", pages.add)
    console.get("/clients/<path:login>/change", pages.old, role="operator")
    console.post("/clients/<path:login>/change", pages.change)


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def new(self, view: View) -> Answer:
        values = rule_form.empty(LISTS, senders=view.query.get("sender"))
        return self._form({**values, "login": view.query.get("login"), "label": ""})

    async def add(self, view: View) -> Answer:
        login = view.form.get("login")
        try:
            password, stored = await new_password(self._desk, view)
            hashed = {"hash": stored, "created": time.strftime("%Y-%m-%d", time.gmtime(view.now))}
            label = view.form.get("label")
            values = {"login": login, "password": [hashed | ({"label": label} if label else {})]}
            said = {k: v for k, v in rule_form.said(view.form, LISTS).items() if v is not None}
            await tried(self._desk, AddClient(values | said), view)
        except Rejected as rejected:
            typed = rule_form.typed(view.form, LISTS)
            shown = {**typed, "login": login, "label": view.form.get("label")}
            return self._form(shown, rejected.problems)
        if not password:
            return Redirect(path_of(login), f"{login} may log in.")
        return handed_over(self._desk, view, login, password, f"{login} may log in.")

    def old(self, view: View) -> Answer:
        row = own(self._desk, view.names["login"])
        return self._form(rule_form.known(row, LISTS) | {"login": row["login"]}, is_new=False)

    async def change(self, view: View) -> Answer:
        login = own(self._desk, view.names["login"])["login"]
        try:
            await tried(self._desk, ChangeClient(login, rule_form.said(view.form, LISTS)), view)
        except Rejected as rejected:
            shown = rule_form.typed(view.form, LISTS) | {"login": login}
            return self._form(shown, rejected.problems, is_new=False)
        return Redirect(path_of(login), f"{login} is changed; it holds from the next message on.")

    def _form(
        self, values: dict[str, Any], problems: Sequence[Problem] = (), *, is_new: bool = True
    ) -> Page:
        faults, others = rule_form.faults(problems, _NAMES)
        return Page(
            "client_form.html",
            {
                "values": values,
                "faults": faults,
                "others": others,
                "mailboxes": rule_form.mailboxes(self._desk),
                "is_new": is_new,
                "path": path_of(values["login"]),
            },
            422 if problems else 200,
        )
