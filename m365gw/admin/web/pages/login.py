"""Signing in and out."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.console import LOGIN, Console
from m365gw.admin.web.sign_in import SignIn
from m365gw.admin.web.view import Answer, Page, Redirect, View, local_path, page


def add(console: Console, sign_in: SignIn, microsoft: Callable[[], str] = str) -> None:
    """Put the pages in. `microsoft` names the other way to sign in, "" where there is none."""
    pages = _Pages(console, sign_in, microsoft)
    console.get(LOGIN, pages.show, role=None)
    console.post(LOGIN, pages.enter, role=None)
    console.post("/logout", pages.leave, role=None)


class _Pages:
    def __init__(self, console: Console, sign_in: SignIn, microsoft: Callable[[], str]) -> None:
        self._console = console
        self._visits = console.visits
        self._sign_in = sign_in
        self._microsoft = microsoft

    def show(self, view: View) -> Answer:
        wanted = local_path(view.query.get("next"))
        if view.operator is not None:
            return Redirect(wanted)
        if self._console.entrance() != LOGIN:
            return Redirect(self._console.entrance())
        return self._page(wanted, "", None)

    async def enter(self, view: View) -> Answer:
        """A new session, under a new cookie; the old one is worth nothing any more."""
        login, wanted = view.form.get("login"), local_path(view.form.get("next"))
        try:
            account = await self._sign_in.check(login, view.form.raw("password"), view.arrival)
        except Refusal as fault:
            shown = self._page(wanted, login, fault)
            return evolve(shown, status=fault.status)
        key = await self._visits.begin(account, view.arrival.place)
        await self._visits.end(view.session)
        return Redirect(wanted, key=key)

    async def leave(self, view: View) -> Answer:
        await self._visits.end(view.session)
        return Redirect(LOGIN, key="")

    def _page(self, wanted: str, login: str, fault: Refusal | None) -> Page:
        return page(
            "login.html", next=wanted, login=login, fault=fault, microsoft=self._microsoft()
        )
