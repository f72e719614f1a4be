"""The pretend Entra on HTTPS: metadata, token and device endpoints, and the page for a user code.

Errors are JSON as Entra's, with its HTTP status. Every answer carries `X-Rehearsal`.
"""

from __future__ import annotations

import html
import json
from typing import Any

from twisted.logger import Logger
from twisted.web.http import datetimeToString
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from m365gw.rehearsal.aadsts import Declined, error_body
from m365gw.rehearsal.browser_pages import BrowserPages
from m365gw.rehearsal.entra import Entra
from m365gw.rehearsal.faults import Fault, Faults, Phase

Request = Any  # twisted.web.http.Request, whose methods have no types

log = Logger(namespace="m365gw.rehearsal")

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>m365gw rehearsal</title>
<h1>This is a rehearsal, not Microsoft</h1><p>{note}</p>
<form method="post"><p><label>Code <input name="user_code" value="{code}"></label>
<p><label>Sign in as <select name="user">{users}</select></label>
<p><button name="answer" value="approve">Sign in</button>
<button name="answer" value="decline">Decline</button></form></html>"""


class SignInPages(Resource):
    """Everything below the root of the pretend sign-in host."""

    isLeaf = True

    def __init__(self, entra: Entra, faults: Faults) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no types here
        self._entra = entra
        self._faults = faults
        self._browser = BrowserPages(entra, faults)

    def render_GET(self, request: Request) -> bytes | int:
        """Metadata of a tenant, or the page for a user code."""
        match _segments(request):
            case [tenant, "v2.0", ".well-known", "openid-configuration"]:
                return self._answer(request, "discovery", tenant)
            case [tenant, "oauth2", "v2.0", "authorize"]:
                return self._browser.authorize(request, tenant, {})
            case [tenant, "v2.0", "adminconsent"]:
                return self._browser.admin_consent(request, tenant, {})
            case ["devicelogin"]:
                return self._page(request, "Enter the code that your device shows.")
        return _not_found(request)

    def render_POST(self, request: Request) -> bytes | int:
        """The token and device endpoints, or the form of the page."""
        match _segments(request):
            case [tenant, "oauth2", "v2.0", "token"]:
                return self._answer(request, "token", tenant)
            case [tenant, "oauth2", "v2.0", "devicecode"]:
                return self._answer(request, "devicecode", tenant)
            case [tenant, "oauth2", "v2.0", "authorize"]:
                return self._browser.authorize(request, tenant, _form(request))
            case [tenant, "v2.0", "adminconsent"]:
                return self._browser.admin_consent(request, tenant, _form(request))
            case ["devicelogin"]:
                return self._decide(request)
        return _not_found(request)

    def _answer(self, request: Request, phase: Phase, tenant: str) -> bytes | int:
        request.setHeader("Date", datetimeToString(self._entra.now))  # type: ignore[no-untyped-call]  # Twisted has no types here
        form = _form(request)
        fault = self._faults.due(phase, (form.get("client_id", ""),))
        if fault is not None and not (fault.action == "stall" and fault.seconds):
            return self._spoil(request, fault)
        if fault is not None:
            self._entra.clock.callLater(
                fault.seconds, lambda: self._answer_late(request, phase, tenant)
            )
            return NOT_DONE_YET
        return self._decided(request, phase, tenant, form)

    def _answer_late(self, request: Request, phase: Phase, tenant: str) -> None:
        if not request.finished and request.channel is not None:
            request.write(self._decided(request, phase, tenant, _form(request)))
            request.finish()

    def _decided(self, request: Request, phase: Phase, tenant: str, form: dict[str, str]) -> bytes:
        try:
            if phase == "discovery":
                return _json(request, 200, self._entra.discovery(tenant))
            if phase == "devicecode":
                return _json(request, 200, self._entra.device_code(tenant, form))
            answer = self._entra.token(tenant, form)
        except Declined as declined:
            log.info(
                "rehearsal: {phase} declined for {app}: AADSTS{number}",
                phase=phase,
                app=form.get("client_id", ""),
                number=declined.number,
            )
            return self._error(request, declined)
        log.info("rehearsal: token issued to {app}", app=form.get("client_id", ""))
        return _json(request, 200, answer)

    def _error(self, request: Request, declined: Declined) -> bytes:
        correlation = (request.getHeader("client-request-id") or "")[:64]
        body = error_body(declined, self._entra.clock.seconds(), correlation)
        return _json(request, declined.status, body)

    def _spoil(self, request: Request, fault: Fault) -> bytes | int:
        """An answer as a fault wants it, or none."""
        if fault.action == "stall":
            return NOT_DONE_YET
        if fault.action == "drop":
            request.loseConnection()
            return NOT_DONE_YET
        for name, value in fault.headers.items():
            request.setHeader(name, value)
        if fault.aadsts:
            return self._error(request, Declined(fault.aadsts))
        request.setHeader("X-Rehearsal", "m365gw")
        request.setHeader("Content-Type", "text/html; charset=utf-8")
        request.setResponseCode(fault.status)
        return fault.body.encode()

    def _page(self, request: Request, note: str, code: str = "") -> bytes:
        users = "".join(
            f"<option>{html.escape(user.name)}</option>"
            for user in self._entra.tenant.users.values()
        )
        request.setHeader("X-Rehearsal", "m365gw")
        request.setHeader("Content-Type", "text/html; charset=utf-8")
        return PAGE.format(note=html.escape(note), code=html.escape(code), users=users).encode()

    def _decide(self, request: Request) -> bytes:
        form = _form(request)
        code = form.get("user_code", "")
        try:
            if form.get("answer") == "approve":
                self._entra.devices.approve(code, form.get("user", ""))
                note = "You have signed in. You can close this page."
            else:
                self._entra.devices.decline(code)
                note = "You have declined. You can close this page."
        except KeyError:
            note = "This code or this user is not known, or the code has ended."
        return self._page(request, note, code)


def _segments(request: Request) -> list[str]:
    return [segment.decode("ascii", "replace") for segment in request.path.split(b"/")[1:]]


def _form(request: Request) -> dict[str, str]:
    arguments: dict[bytes, list[bytes]] = request.args or {}
    return {
        name.decode("latin-1"): values[0].decode("utf-8", "replace")
        for name, values in arguments.items()
    }


def _json(request: Request, status: int, value: dict[str, Any]) -> bytes:
    request.setResponseCode(status)
    request.setHeader("Content-Type", "application/json; charset=utf-8")
    request.setHeader("Cache-Control", "no-store, no-cache")
    request.setHeader("X-Rehearsal", "m365gw")
    return json.dumps(value).encode()


def _not_found(request: Request) -> bytes:
    request.setResponseCode(404)
    request.setHeader("Content-Type", "text/plain")
    return b"The m365gw rehearsal has no such page.\n"
