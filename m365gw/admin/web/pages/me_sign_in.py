"""Signing in at Microsoft for one's own mailbox, coming back, and signing out.

What is sent to Microsoft names `public_url` alone, whatever host a request named. A browser that
has no session gets a new cookie before it leaves, and another one when it is signed in: a cookie
that somebody planted is worth nothing at either time.
"""

from __future__ import annotations

from m365gw.admin.me.enrolment import Enrolment
from m365gw.admin.me.people import People
from m365gw.admin.refusal import Refusal
from m365gw.admin.web.console import Console
from m365gw.admin.web.returns import CALLBACK, Returns
from m365gw.admin.web.view import Answer, Away, Page, Redirect, View
from m365gw.admin.web.visits import digest_of, new_key
from m365gw.config.self_service import SignIn
from m365gw.relay.tokens.web_sign_in import WebSignIn

ME = "/me"


def add(console: Console, enrolment: Enrolment, people: People, returns: Returns) -> None:
    """Put the pages in."""
    pages = _Pages(enrolment, people, returns)
    console.get(f"{ME}/sign-in/<number>", pages.begin, role=None)
    console.get(CALLBACK, pages.back, role=None)
    console.post(f"{ME}/sign-out", pages.leave, role=None)


def welcome(enrolment: Enrolment, fault: Refusal | None = None) -> Page:
    """The page with a button for each way to sign in. Raises `Refusal` while it is closed."""
    apps = enrolment.apps()
    if not apps:
        raise Refusal(404, "There is no self-service here.", "", "Ask whoever runs this gateway.")
    values = {"apps": apps, "fault": fault, "member": None}
    return Page("me_sign_in.html", values, fault.status if fault else 200)


class _Pages:
    def __init__(self, enrolment: Enrolment, people: People, returns: Returns) -> None:
        self._enrolment = enrolment
        self._people = people
        self._returns = returns

    async def begin(self, view: View) -> Answer:
        """Off to Microsoft. The account that is signed in already is the one proposed there."""
        app = self._app(view.names["number"])
        member = self._people.of(view.browser)
        self._returns.check(view)
        try:
            sign_in = await self._enrolment.begin(app, member.address if member else "")
        except Refusal as fault:
            return welcome(self._enrolment, fault)
        key = None if member else new_key()

        async def back(came: View) -> Answer:
            return await self._signed_in(came, app, sign_in)

        self._returns.leave(view, sign_in.state, back, digest_of(key) if key else "")
        return Away(sign_in.auth_uri, key)

    async def back(self, view: View) -> Answer:
        """Microsoft sent the browser back, for whatever it left."""
        if view.query.get("admin_consent"):
            return self._consented(view)
        try:
            return await self._returns.back(view)
        except Refusal as fault:
            if not self._enrolment.apps():
                raise  # operators come back by this page too
            return welcome(self._enrolment, fault)

    async def leave(self, view: View) -> Answer:
        self._people.end(view.browser)
        return Redirect(ME, key="")

    async def _signed_in(self, view: View, app: SignIn, sign_in: WebSignIn) -> Answer:
        """A new session, under a new cookie; the old one is worth nothing any more."""
        answer = dict(view.query.pairs)
        member = await self._enrolment.finish(app, sign_in, answer)
        self._people.end(view.browser)
        return Redirect(ME, key=self._people.begin(member))

    def _consented(self, view: View) -> Answer:
        """An administrator comes from Microsoft's page of consent."""
        if view.query.get("admin_consent").lower() == "true" and not view.query.get("error"):
            words = Refusal(200, "Microsoft says that an administrator has allowed the app.")
        else:
            words = Refusal(
                403,
                "The app was not allowed.",
                "Somebody said no at Microsoft, or may not allow apps.",
                "An administrator of the organisation has to do it.",
            )
        return welcome(self._enrolment, words)

    def _app(self, number: str) -> SignIn:
        apps = self._enrolment.apps()
        if not number.isdecimal() or len(number) > 3 or int(number) >= len(apps):
            raise Refusal(404, "There is no such way to sign in.", "", "Begin at /me.")
        return apps[int(number)]
