"""What people see of the pretend Entra in a browser: the sign-in page and the admin consent page.

The way back is by query, form post or fragment, as the app asked for. Errors that Entra shows and
does not take back (an app or a redirect address it does not know) are shown here too.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from m365gw.rehearsal.aadsts import Declined, error_body
from m365gw.rehearsal.authorization import Asked, is_registered, read_request
from m365gw.rehearsal.entra import Entra
from m365gw.rehearsal.faults import Fault, Faults

Request = Any  # twisted.web.http.Request, whose methods have no types

HEAD = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>m365gw rehearsal</title>'
    "<h1>This is a rehearsal, not Microsoft</h1>"
)
SIGN_IN = HEAD + (
    "<p>{name} wants to send mail for you.{note}"
    '<form method="post"><p><label>Sign in as <select name="user">{users}</select></label>'
    '<p><button name="answer" value="yes">Sign in and accept</button>'
    '<button name="answer" value="no">Cancel</button></form></html>'
)
ADMIN = HEAD + (
    "<p>{name} asks an administrator of {domain} for its permissions."
    '<form method="post"><button name="answer" value="yes">Accept</button>'
    '<button name="answer" value="no">Cancel</button></form></html>'
)
POST_BACK = HEAD + '<form method="post" action="{action}">{fields}<button>Go on</button></form>'
FAILED = HEAD + "<p>{words}</html>"


class BrowserPages:
    """The pages below a tenant."""

    def __init__(self, entra: Entra, faults: Faults) -> None:
        self._entra = entra
        self._faults = faults

    def authorize(self, request: Request, tenant: str, form: Mapping[str, str]) -> bytes:
        """The sign-in page (GET), or what became of it (POST). `form` is empty for a GET."""
        try:
            path = self._entra.tenant_path(tenant)
            query = _query(request)
            app = self._entra.app_for_user(path, query)
            asked = read_request(app, path, query)
        except Declined as declined:
            return self._shown(request, declined)
        fault = self._faults.due("authorize", (asked.client_id,))
        if not form and fault is None:
            return self._sign_in_page(request, app.name, asked, app.consent)
        return self._back(request, asked, self._outcome(asked, form, fault))

    def admin_consent(self, request: Request, tenant: str, form: Mapping[str, str]) -> bytes:
        """The page on which an administrator consents for everybody."""
        query = _query(request)
        app = self._entra.tenant.apps.get(query.get("client_id", ""))
        address = query.get("redirect_uri", "")
        if app is None:
            return self._shown(request, Declined(700016))
        if not is_registered(app, address):
            return self._shown(request, Declined(50011))
        if not form:
            page = ADMIN.format(
                name=html.escape(app.name), domain=html.escape(self._entra.tenant.domain)
            )
            return _page(request, page)
        if form.get("answer") == "yes":
            self._entra.tenant.change_app(app.client_id, consent="given")
            outcome = {"admin_consent": "True", "tenant": self._entra.tenant.tenant_id}
        else:
            outcome = self._error(Declined(65004))
        asked = Asked(app.client_id, tenant, address, "", query.get("state", ""))
        return self._back(request, asked, outcome)

    def _outcome(
        self, asked: Asked, form: Mapping[str, str], fault: Fault | None
    ) -> dict[str, str]:
        try:
            if fault is not None:
                raise Declined(fault.aadsts or 90033)
            return self._entra.codes.answer(
                asked, form.get("user", ""), consents=form.get("answer") == "yes"
            )
        except Declined as declined:
            return self._error(declined)

    def _error(self, declined: Declined) -> dict[str, str]:
        body = error_body(declined, self._entra.clock.seconds())
        return {"error": body["error"], "error_description": body["error_description"]}

    def _sign_in_page(self, request: Request, name: str, asked: Asked, consent: str) -> bytes:
        users = "".join(
            f"<option{' selected' if user.name == asked.login_hint else ''}>"
            f"{html.escape(user.name)}</option>"
            for user in self._entra.tenant.users.values()
        )
        note = " <b>An administrator must allow it first.</b>" if consent == "admin" else ""
        return _page(request, SIGN_IN.format(name=html.escape(name), note=note, users=users))

    def _back(self, request: Request, asked: Asked, outcome: Mapping[str, str]) -> bytes:
        """To the app again, with the outcome."""
        values = {**outcome, **({"state": asked.state} if asked.state else {})}
        if asked.response_mode == "form_post":
            fields = "".join(
                f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
                for name, value in values.items()
            )
            action = html.escape(asked.redirect_uri)
            return _page(request, POST_BACK.format(action=action, fields=fields))
        separator = "#" if asked.response_mode == "fragment" else "?"
        request.setHeader("X-Rehearsal", "m365gw")
        request.setHeader("Location", f"{asked.redirect_uri}{separator}{urlencode(values)}")
        request.setResponseCode(302)
        return b""

    def _shown(self, request: Request, declined: Declined) -> bytes:
        body = error_body(declined, self._entra.clock.seconds())
        request.setResponseCode(declined.status)
        return _page(request, FAILED.format(words=html.escape(body["error_description"])))


def _query(request: Request) -> dict[str, str]:
    """The parameters of the address; those of a form are not among them."""
    return dict(parse_qsl(request.uri.partition(b"?")[2].decode("ascii", "replace")))


def _page(request: Request, text: str) -> bytes:
    request.setHeader("X-Rehearsal", "m365gw")
    request.setHeader("Content-Type", "text/html; charset=utf-8")
    return text.encode()
