"""Operators: who may sign in to the console, and whether he may change anything or only look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.changing import caller
from m365gw.admin.web.console import Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.once import Secret
from m365gw.admin.web.view import Answer, Redirect, View, page
from m365gw.directory import passwords
from m365gw.directory.operators import (
    LOGIN,
    ROLES,
    SHORTEST,
    NoSuchOperator,
    OperatorExists,
    Role,
)

PATH: Final = "/operators"


def add(console: Console, desk: Desk) -> None:
    """Put the pages in."""
    pages = _Pages(desk)
    console.section("Operators", PATH, "person")
    console.get(PATH, pages.all, role="operator")
    console.post("/operators/add", pages.add)
    console.post("/operators/<path:login>/role", pages.role)
    console.post("/operators/<path:login>/password", pages.password)
    console.post("/operators/<path:login>/remove", pages.remove)


class _Pages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def all(self, view: View) -> Answer:
        found = await self._desk.calls.call(self._desk.operators.all)
        tokens = await self._desk.calls.call(self._desk.api_tokens.all)
        return page("operators.html", operators=found, tokens=tokens, roles=_choices())

    async def add(self, view: View) -> Answer:
        login, role = view.form.get("login"), _role(view)
        if not LOGIN.fullmatch(login):
            fix = "Letters and figures, at most 128, and none of <>\"'&."
            raise Refusal(422, f'"{login}" is no login.', "", fix)
        shown, stored = await chosen_or_made(self._desk, view)
        add_operator = self._desk.operators.add
        await self._changed(add_operator, login, stored, role, caller(view).name)
        return self._told(view, f"{login} may sign in as {role}.", shown)

    async def role(self, view: View) -> Answer:
        login, role = view.names["login"], _role(view)
        _not_oneself(view, login)
        await self._changed(self._desk.operators.set_role, login, role, caller(view).name)
        return Redirect(PATH, f"{login} is {role} from the next sign-in on.")

    async def password(self, view: View) -> Answer:
        login = view.names["login"]
        shown, stored = await chosen_or_made(self._desk, view)
        await self._changed(self._desk.operators.set_password, login, stored, caller(view).name)
        return self._told(view, f"{login} has a new password, and was signed out.", shown)

    async def remove(self, view: View) -> Answer:
        login = view.names["login"]
        _not_oneself(view, login)
        await self._changed(self._desk.operators.remove, login, caller(view).name)
        return Redirect(PATH, f"{login} may not sign in any more.")

    async def _changed(self, change: Callable[..., Any], *arguments: Any) -> None:
        try:
            await self._desk.calls.call(change, *arguments)
        except NoSuchOperator as error:
            raise Refusal(404, str(error)) from None
        except OperatorExists as error:
            raise Refusal(409, str(error), "", "Choose another login.") from None

    def _told(self, view: View, words: str, shown: str) -> Redirect:
        if not shown:
            return Redirect(PATH, words)
        return self._desk.once.show(view, Secret("Password", words, shown, PATH))


async def chosen_or_made(desk: Desk, view: View) -> tuple[str, str]:
    """A password: what is shown of it ("" for one that was chosen), and its hash.

    Raises `Refusal` for one that is too short.
    """
    chosen = view.form.raw("password")
    password = chosen or passwords.generate()[0]
    if not SHORTEST <= len(password) <= passwords.LONGEST_PASSWORD:
        raise Refusal(422, f"A password has at least {SHORTEST} characters.", "", "Choose another.")
    stored = await desk.calls.call(passwords.hash_chosen, password)
    return ("" if chosen else password), stored


def _role(view: View) -> Role:
    role = view.form.get("role")
    if role not in ROLES:
        raise Refusal(400, "There is no such role.", "", f"One of {', '.join(ROLES)}.")
    return role


def _not_oneself(view: View, login: str) -> None:
    if login == view.by:
        raise Refusal(
            409,
            "Nothing was done: that is you.",
            "Nobody locks himself out by accident.",
            "Another operator can do it, or on the machine: m365gw operator --help",
        )


def _choices() -> list[tuple[str, str]]:
    return [("operator", "operator: may change things"), ("viewer", "viewer: may look")]
