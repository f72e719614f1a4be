"""The authorization endpoint of the pretend Entra: who asks, who answers, which code comes of it.

RFC 6749 4.1 with PKCE (RFC 7636), as strict as Entra: the redirect address must be registered,
letter by letter but for the port of localhost; a code lives ten minutes, works once, and only with
its verifier. Failures: `Declined`.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

from attrs import define, evolve, frozen
from twisted.internet.interfaces import IReactorTime

from m365gw.rehearsal.aadsts import Declined
from m365gw.rehearsal.tenant import App, Tenant

CODE_LIFETIME = 600.0
RESPONSE_MODES = ("query", "form_post", "fragment")


@frozen
class Asked:
    """A request of an app that somebody is to sign in for, checked."""

    client_id: str
    path: str  # the tenant in the address
    redirect_uri: str
    scope: str
    state: str = ""
    nonce: str = ""
    challenge: str = ""
    response_mode: str = "query"
    login_hint: str = ""


@define
class Code:
    """An authorization code that was given out."""

    asked: Asked
    user: str
    ends: float
    is_used: bool = False


def read_request(app: App, path: str, query: Mapping[str, str]) -> Asked:
    """What an app asks of its user. Declined where Entra shows an error and does not go back."""
    redirect_uri = query.get("redirect_uri", "")
    if not is_registered(app, redirect_uri):
        raise Declined(50011)
    mode = query.get("response_mode", "query")
    if query.get("response_type") != "code" or mode not in RESPONSE_MODES:
        raise Declined(90014)
    challenge = query.get("code_challenge", "")
    if challenge and query.get("code_challenge_method") != "S256":
        raise Declined(90014)
    return Asked(
        app.client_id,
        path,
        redirect_uri,
        query.get("scope", ""),
        query.get("state", ""),
        query.get("nonce", ""),
        challenge,
        mode,
        query.get("login_hint", ""),
    )


def is_registered(app: App, address: str) -> bool:
    """Whether an app may be returned to at this address."""
    return any(_without_port(each) == _without_port(address) for each in app.redirect_uris)


def _without_port(address: str) -> str:
    """The address; that of localhost without its port, which does not count."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    if parts.scheme == "http" and parts.hostname == "localhost":
        return f"http://localhost{parts.path.removesuffix('/')}"
    return address


class AuthorizationCodes:
    """The codes that were given out."""

    def __init__(self, tenant: Tenant, clock: IReactorTime) -> None:
        self._tenant = tenant
        self._clock = clock
        self._codes: dict[str, Code] = {}

    def answer(self, asked: Asked, user: str, *, consents: bool) -> dict[str, str]:
        """What the browser brings back. Declined when this user cannot sign in or says no."""
        app, known = self._tenant.apps[asked.client_id], self._tenant.user(user)
        if known is None:
            raise Declined(50034)
        if not known.enabled:
            raise Declined(50057)
        if known.personal is not (asked.path == "consumers"):
            raise Declined(50020)
        if not consents:
            raise Declined(65004)
        if app.consent == "admin":
            raise Declined(90094, "access_denied")
        self._tenant.apps[app.client_id] = evolve(app, consent="given")
        code = "1.rehearsal." + secrets.token_urlsafe(500)
        self._codes[code] = Code(asked, known.name, self._clock.seconds() + CODE_LIFETIME)
        return {"code": code, "session_state": secrets.token_hex(16)}

    def redeem(self, client_id: str, form: Mapping[str, str]) -> Code:
        """The sign-in a code stands for. Declined when it is good for nothing."""
        code = self._codes.get(form.get("code", ""))
        if code is None or code.asked.client_id != client_id:
            raise Declined(70000)
        if code.is_used:
            raise Declined(54005)
        if code.ends <= self._clock.seconds():
            raise Declined(70008)
        if form.get("redirect_uri") != code.asked.redirect_uri:
            raise Declined(50011)
        if code.asked.challenge != _challenge(form.get("code_verifier", "")):
            raise Declined(501481)
        code.is_used = True
        return code


def _challenge(verifier: str) -> str:
    """RFC 7636 4.2; "" for no verifier."""
    if not verifier:
        return ""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
