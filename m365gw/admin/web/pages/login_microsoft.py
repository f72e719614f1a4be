"""Operators who sign in at Microsoft instead of by a password.

Who has signed in there, in the one tenant that `[web] sign_in` names, is the operator whose login
is that address, with the role this one has; anybody else is nobody here. Nothing is stored of it.
"""

from __future__ import annotations

from m365gw.admin.me.enrolment import Enrolment
from m365gw.admin.refusal import Refusal
from m365gw.admin.web.console import LOGIN, Console
from m365gw.admin.web.rendering import refused
from m365gw.admin.web.returns import Returns
from m365gw.admin.web.sign_in import SignIn
from m365gw.admin.web.view import Answer, Away, Redirect, View, local_path
from m365gw.admin.web.visits import digest_of, new_key
from m365gw.directory.operators import Operator
from m365gw.relay.tokens.web_sign_in import WebSignIn


def add(console: Console, sign_in: SignIn, enrolment: Enrolment, returns: Returns) -> None:
    """Put the page in; they come back by that of everybody (`me_sign_in`)."""

    async def begin(view: View) -> Answer:
        app = enrolment.app_of_operators()
        if app is None:
            raise Refusal(404, "There is no such page.", "", "Sign in by a password.")
        wanted = local_path(view.query.get("next"))
        if view.operator is not None:
            return Redirect(wanted)  # nobody is signed out by a link
        returns.check(view)
        leaving = await enrolment.begin(app, "")
        key = new_key()

        async def back(came: View) -> Answer:
            try:
                operator = await found(came, leaving)
            except Refusal as refusal:
                return refused(refusal)
            return Redirect(
                "/" if wanted.startswith(("/me", "/auth")) else wanted,
                key=await console.visits.begin(operator, came.arrival.place),
            )

        returns.leave(view, leaving.state, back, digest_of(key))
        return Away(leaving.auth_uri, key)

    async def found(came: View, leaving: WebSignIn) -> Operator:
        person = await enrolment.person(leaving, dict(came.query.pairs))
        return await sign_in.known(person.address, came.arrival)

    console.get(f"{LOGIN}/microsoft", begin, role=None)
