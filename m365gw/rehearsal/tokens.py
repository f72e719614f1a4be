"""Access and refresh tokens of the pretend Entra: issued, looked up, ended, revoked.

Access tokens are signed JWTs of a realistic length whose issuer and claims say that they are from
a rehearsal; who receives one looks it up here and trusts nothing inside it. As with the real
service, revoking a user's sessions ends refresh tokens while access tokens live on to their end,
unless that is asked for.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import TypeVar

import jwt
from attrs import evolve, frozen
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet.interfaces import IReactorTime

from m365gw.rehearsal.aadsts import Declined
from m365gw.rehearsal.middlebox import Middlebox
from m365gw.rehearsal.tenant import App, Tenant

Value = TypeVar("Value")
MOST_KEPT = 50_000  # tokens of each kind; the oldest go first


@frozen
class Grant:
    """What an access token stands for."""

    client_id: str
    user: str  # name of the user; "" for a token of the app itself
    audience: str  # "https://outlook.office365.com"
    permissions: frozenset[str]  # roles of an app, scopes of a user
    ends: float  # seconds since the epoch


@frozen
class Session:
    """What a refresh token stands for: a user signed in with an app."""

    client_id: str
    user: str
    ends: float
    revoked: bool = False


class Tokens:
    """All tokens that were issued."""

    def __init__(
        self, tenant: Tenant, clock: IReactorTime, middlebox: Middlebox | None = None
    ) -> None:
        self._tenant = tenant
        self._middlebox = middlebox or Middlebox()
        self._clock = clock
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._grants: OrderedDict[str, Grant] = OrderedDict()
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self.issued = 0

    def issue(
        self, issuer: str, app: App, user: str, audience: str, permissions: frozenset[str]
    ) -> str:
        """A new access token."""
        now = self._clock.seconds()
        audience = self._middlebox.audience or audience
        grant = Grant(app.client_id, user, audience, permissions, now + self._tenant.token_lifetime)
        known = self._tenant.user(user) if user else None
        if known is not None and known.personal:
            token = "EwBrehearsal" + secrets.token_urlsafe(self._tenant.token_length)  # opaque
        else:
            token = self._sign(issuer, app, grant, now)
        _keep(self._grants, token, grant)
        self.issued += 1
        return token

    def _sign(self, issuer: str, app: App, grant: Grant, now: float) -> str:
        off = self._middlebox.clock_off
        claims = {
            "aud": grant.audience,
            "iss": issuer,
            "iat": int(now + off),
            "nbf": int(now + off),
            "exp": int(grant.ends + off),
            "appid": app.client_id,
            "app_displayname": app.name,
            "tid": self._tenant.tenant_id,
            "jti": secrets.token_hex(12),
            "rehearsal": "m365gw rehearsal, not Microsoft",
        }
        if grant.user:
            claims |= {"upn": grant.user, "scp": " ".join(sorted(grant.permissions))}
        elif grant.permissions:  # an app without consent has no roles claim at all
            claims["roles"] = sorted(grant.permissions)
        header = {"kid": "m365gw-rehearsal"}
        short = jwt.encode(claims, self._key, "ES256", header)
        missing = self._tenant.token_length - len(short)
        if missing <= 0:
            return short
        claims["xms_fill"] = "x" * (missing * 3 // 4)
        return jwt.encode(claims, self._key, "ES256", header)

    def grant(self, token: str) -> Grant | None:
        """What a token stands for; None when it is unknown, ended or revoked."""
        grant = self._grants.get(token)
        return grant if grant is not None and grant.ends > self._clock.seconds() else None

    def sign_in(self, client_id: str, user: str) -> str:
        """A new refresh token."""
        token = "1.rehearsal." + secrets.token_urlsafe(600)
        ends = self._clock.seconds() + self._tenant.refresh_token_lifetime
        _keep(self._sessions, token, Session(client_id, user, ends))
        return token

    def use(self, refresh_token: str, client_id: str) -> Session:
        """The session of a refresh token. Declined when it is good for nothing."""
        session = self._sessions.get(refresh_token)
        if session is None or session.client_id != client_id:
            raise Declined(70000)
        if session.revoked:
            raise Declined(50173)
        if session.ends <= self._clock.seconds():
            raise Declined(700082)
        if self._tenant.refresh_tokens_once:
            self._sessions[refresh_token] = evolve(session, revoked=True)
        return session

    def revoke_sessions(self, user: str = "") -> int:
        """Revokes the refresh tokens of a user, or of all. How many there were."""
        chosen = [
            token
            for token, session in self._sessions.items()
            if not user or session.user.lower() == user.lower()
        ]
        for token in chosen:
            self._sessions[token] = evolve(self._sessions[token], revoked=True)
        return len(chosen)

    def rename(self, user: str, new: str) -> None:
        """A user has another name; sessions and tokens belong to the user, not to the name."""
        for token, grant in self._grants.items():
            if grant.user.lower() == user.lower():
                self._grants[token] = evolve(grant, user=new)
        for token, session in self._sessions.items():
            if session.user.lower() == user.lower():
                self._sessions[token] = evolve(session, user=new)

    def revoke_access(self, name: str = "") -> int:
        """Ends the access tokens of a user or of an app (by client id), or all. How many."""
        chosen = [
            token
            for token, grant in self._grants.items()
            if not name or name.lower() in (grant.user.lower(), grant.client_id.lower())
        ]
        for token in chosen:
            del self._grants[token]
        return len(chosen)


def _keep(tokens: OrderedDict[str, Value], token: str, value: Value) -> None:
    tokens[token] = value
    if len(tokens) > MOST_KEPT:
        tokens.popitem(last=False)
