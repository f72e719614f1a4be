"""The beginning of the set-up: the first operator; and where to go on."""

from __future__ import annotations

from attrs import evolve

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.console import LOGIN, Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.first_start import SETUP, SHORTEST, FirstStart
from m365gw.admin.web.set_up import framed, is_unfinished, steps
from m365gw.admin.web.view import Answer, Redirect, View, page
from m365gw.directory.operators import LOGIN as LOGINS
from m365gw.directory.passwords import LONGEST_PASSWORD


def add(console: Console, desk: Desk, first: FirstStart) -> None:
    """Put the pages in."""
    pages = _Pages(console, desk, first)
    console.get(SETUP, pages.begin, role=None)
    console.post("/setup/administrator", pages.administrator, role=None)
    console.get("/setup/done", pages.done, role="operator")


class _Pages:
    def __init__(self, console: Console, desk: Desk, first: FirstStart) -> None:
        self._visits = console.visits
        self._desk = desk
        self._first = first

    async def begin(self, view: View) -> Answer:
        """The first step, or the one where somebody who is signed in goes on."""
        if view.operator is not None:
            known = await steps(self._desk)
            return Redirect(next(each.path for each in known if not each.is_done))
        if not self._first.is_open:
            return Redirect(f"{LOGIN}?next={SETUP}")
        return page("setup.html", login="admin", faults={}, trouble=None)

    async def administrator(self, view: View) -> Answer:
        login, password = view.form.get("login"), view.form.raw("password")
        faults = _faults(login, password, view.form.raw("again"))
        if faults:
            shown = page("setup.html", login=login, faults=faults, trouble=None)
            return evolve(shown, status=422)
        try:
            said = view.form.get("once")
            operator = await self._first.make_operator(said, login, password, view.arrival)
        except Refusal as trouble:
            if trouble.status == 410:
                raise
            shown = page("setup.html", login=login, faults={}, trouble=trouble)
            return evolve(shown, status=trouble.status)
        key = await self._visits.begin(operator, view.arrival.place)
        return Redirect("/setup/entrance", key=key)

    async def done(self, view: View) -> Answer:
        settings = self._desk.settings()
        return await framed(
            self._desk,
            view,
            "done",
            "setup_done.html",
            settings=settings,
            is_unfinished=is_unfinished(settings),
            is_self_signed=not settings.tls.certificate,
        )


def _faults(login: str, password: str, again: str) -> dict[str, str]:
    faults = {}
    if not LOGINS.fullmatch(login):
        faults["login"] = "Letters, figures and the like, without a space."
    if not SHORTEST <= len(password) <= LONGEST_PASSWORD:
        faults["password"] = f"It needs at least {SHORTEST} characters."
    elif password != again:
        faults["again"] = "It differs from the one above."
    return faults
