"""One's own account: another password, and the sessions that stand."""

from __future__ import annotations

from m365gw.admin.refusal import Refusal
from m365gw.admin.web.changing import caller
from m365gw.admin.web.console import LOGIN, Console
from m365gw.admin.web.desk import Desk
from m365gw.admin.web.view import Answer, Redirect, View, page
from m365gw.directory import passwords
from m365gw.directory.operators import SHORTEST

PATH = "/account"


def add(console: Console, desk: Desk) -> None:
    """Put the pages in. Everybody may change what is his own."""

    async def show(view: View) -> Answer:
        sessions = await desk.calls.call(desk.sessions.of, view.by)
        sessions.sort(key=lambda one: one.seen_at, reverse=True)
        return page("account.html", sessions=sessions, shortest=SHORTEST)

    async def password(view: View) -> Answer:
        """Whoever is signed in by the old password, here too, signs in again."""
        old, new = view.form.raw("old"), view.form.raw("new")
        if new != view.form.raw("again"):
            raise Refusal(422, "The two new passwords differ.", "", "Type them again.")
        if not SHORTEST <= len(new) <= passwords.LONGEST_PASSWORD:
            raise Refusal(422, f"A password has at least {SHORTEST} characters.")
        await desk.check_password(view.by, old, view.arrival)
        stored = await desk.calls.call(passwords.hash_chosen, new)
        await desk.calls.call(desk.operators.set_password, view.by, stored, caller(view).name)
        await console.visits.end(view.session)
        return Redirect(LOGIN, key="")

    async def end(view: View) -> Answer:
        """One's own sessions only."""
        digest = view.form.get("session")
        own = await desk.calls.call(desk.sessions.of, view.by)
        for one in own:
            if one.digest == digest or (digest == "others" and one.digest != view.session):
                await console.visits.end(one.digest)
        return Redirect(PATH, "Ended.")

    console.get(PATH, show)
    console.post("/account/password", password, role="viewer")
    console.post("/account/sessions/end", end, role="viewer")
