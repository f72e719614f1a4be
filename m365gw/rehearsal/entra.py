"""The decisions of the pretend Entra: who gets which token, and with which error not.

The flows of the gateway are rehearsed: client credentials (secret, certificate, federated token),
authorization code, device code and refresh token. Every function raises `Declined`; `pages` and
`browser_pages` put all of it on HTTP.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from m365gw.rehearsal.aadsts import Declined
from m365gw.rehearsal.assertion import TYPE, check_assertion
from m365gw.rehearsal.authorization import RESPONSE_MODES, AuthorizationCodes
from m365gw.rehearsal.device import DeviceCodes
from m365gw.rehearsal.middlebox import Middlebox
from m365gw.rehearsal.tenant import RESOURCES, App, Tenant, User
from m365gw.rehearsal.tokens import Tokens

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
OPENID_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"  # all personal accounts are in this one
SHARED_TENANTS = frozenset({"common", "organizations", "consumers"})

Form = Mapping[str, str]


@define(kw_only=True)
class Entra:
    """The pretend sign-in service of one tenant. `base` is its own address, without a path."""

    tenant: Tenant
    tokens: Tokens
    devices: DeviceCodes
    clock: IReactorTime
    base: str = "https://127.0.0.1"
    middlebox: Middlebox = field(factory=Middlebox)
    codes: AuthorizationCodes = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.codes = AuthorizationCodes(self.tenant, self.clock)

    @property
    def now(self) -> float:
        """Its own time, in seconds since the epoch."""
        return self.clock.seconds() + self.middlebox.clock_off

    def tenant_path(self, name: str) -> str:
        """The path segment that stands for a tenant in answers."""
        if name.lower() in SHARED_TENANTS:
            return name.lower()
        if name.lower() in (self.tenant.tenant_id, self.tenant.domain.lower()):
            return self.tenant.tenant_id
        raise Declined(90002)

    def discovery(self, name: str) -> dict[str, Any]:
        """The OpenID metadata of a tenant."""
        path = self.tenant_path(name)
        oauth = f"{self.base}/{path}/oauth2/v2.0"
        return {
            "issuer": self.issuer(),
            "authorization_endpoint": f"{oauth}/authorize",
            "token_endpoint": f"{oauth}/token",
            "device_authorization_endpoint": f"{oauth}/devicecode",
            "jwks_uri": f"{self.base}/{path}/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": [
                "client_secret_post",
                "private_key_jwt",
            ],
            "response_types_supported": ["code"],
            "response_modes_supported": list(RESPONSE_MODES),
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": sorted(OPENID_SCOPES),
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "rehearsal": "m365gw rehearsal, not Microsoft",
        }

    def issuer(self, tenant_id: str = "") -> str:
        """Who issues tokens: an address that can only be a rehearsal's."""
        return f"{self.base}/{tenant_id or self.tenant.tenant_id}/m365gw-rehearsal/v2.0"

    def device_code(self, name: str, form: Form) -> dict[str, Any]:
        """The answer to a device authorization request (RFC 8628 3.2)."""
        app = self.app_for_user(self.tenant_path(name), form)
        _delegated_scope(app, form.get("scope", ""))
        code = self.devices.begin(app.client_id, form.get("scope", ""))
        page = f"{self.base}/devicelogin"
        return {
            "user_code": code.user_code,
            "device_code": code.device_code,
            "verification_uri": page,
            "expires_in": int(self.tenant.device_lifetime),
            "interval": max(1, int(code.interval)),  # MSAL never returns when it is told 0
            "message": f"This is a rehearsal. To sign in, open the page {page} and enter the code"
            f" {code.user_code} to authenticate.",
        }

    def token(self, name: str, form: Form) -> dict[str, Any]:
        """The answer of the token endpoint."""
        path = self.tenant_path(name)
        grant = form.get("grant_type", "")
        if grant == "client_credentials":
            return self._client_credentials(path, form)
        if grant == "refresh_token":
            return self._refresh(path, form)
        if grant == "authorization_code":
            return self._code(path, form)
        if grant == DEVICE_GRANT:
            return self._device(path, form)
        raise Declined(70003) if grant else Declined(90014)

    def _client_credentials(self, path: str, form: Form) -> dict[str, Any]:
        if path in SHARED_TENANTS:
            raise Declined(50059)
        app = self._app(form)
        if app.public and not (app.secrets or app.certificates):
            raise Declined(7000218)
        self._authenticate(app, path, form)
        scopes = form.get("scope", "").split()
        if len(scopes) != 1:
            raise Declined(70011)
        resource, default = scopes[0].removesuffix("/.default"), scopes[0].endswith("/.default")
        if not default:
            raise Declined(1002012)
        if resource not in RESOURCES:
            raise Declined(500011)
        roles = self.tenant.roles_for(app, resource)
        access = self.tokens.issue(self.issuer(), app, "", resource, roles)
        return self._answer(access)

    def _refresh(self, path: str, form: Form) -> dict[str, Any]:
        app = self._app(form)
        self._authenticate(app, path, form)
        resource, scopes = _delegated_scope(app, form.get("scope", ""))
        session = self.tokens.use(form.get("refresh_token", ""), app.client_id)
        return self._user_answer(app, session.user, resource, scopes, form)

    def _device(self, path: str, form: Form) -> dict[str, Any]:
        app = self._app(form)
        self._authenticate(app, path, form)
        code = self.devices.poll(form.get("device_code", ""), app.client_id)
        resource, scopes = _delegated_scope(app, code.scope)
        return self._user_answer(app, code.user, resource, scopes, {**form, "scope": code.scope})

    def _code(self, path: str, form: Form) -> dict[str, Any]:
        app = self.app_for_user(path, form)
        self._authenticate(app, path, form)
        code = self.codes.redeem(app.client_id, form)
        resource, scopes = _delegated_scope(app, form.get("scope", "") or code.asked.scope)
        asked = {**form, "scope": code.asked.scope}
        return self._user_answer(app, code.user, resource, scopes, asked, code.asked.nonce)

    def app_for_user(self, path: str, form: Form) -> App:
        """The app a person signs in to, if it takes the accounts of this authority."""
        app = self._app(form)
        if path == "consumers" and not app.personal:
            raise Declined(9002332)
        return app

    def _app(self, form: Form) -> App:
        client_id = form.get("client_id", "")
        if not client_id:
            raise Declined(90014)
        app = self.tenant.apps.get(client_id)
        if app is None:
            raise Declined(700016)
        if not app.enabled:
            raise Declined(7000112)
        return app

    def _authenticate(self, app: App, path: str, form: Form) -> None:
        """Returns when the app has proved itself, or is public and must not."""
        secret, assertion = form.get("client_secret", ""), form.get("client_assertion", "")
        if app.public:
            if secret or assertion:
                raise Declined(700025)
        elif assertion:
            if form.get("client_assertion_type") != TYPE:
                raise Declined(90014)
            endpoint = f"{self.base}/{path}/oauth2/v2.0/token"
            check_assertion(app, assertion, frozenset({endpoint}), self.now)
        elif secret:
            self._check_secret(app, secret)
        else:
            raise Declined(7000218)

    def _check_secret(self, app: App, secret: str) -> None:
        known = [each for each in app.secrets if each.value == secret]
        if not known:
            raise Declined(7000215)
        if all(each.ends and each.ends <= self.clock.seconds() for each in known):
            raise Declined(7000222)

    def _answer(self, access_token: str) -> dict[str, Any]:
        lifetime = int(self.tenant.token_lifetime)
        return {
            "token_type": "Bearer",
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": access_token,
        }

    def _user_answer(
        self,
        app: App,
        name: str,
        resource: str,
        scopes: frozenset[str],
        form: Form,
        nonce: str = "",
    ) -> dict[str, Any]:
        user = self.tenant.user(name)
        if user is None:
            raise Declined(50034)
        if not user.enabled:
            raise Declined(50057)
        tenant_id = PERSONAL_TENANT if user.personal else self.tenant.tenant_id
        access = self.tokens.issue(self.issuer(), app, user.name, resource, scopes)
        answer = self._answer(access)
        answer["scope"] = " ".join(f"{resource}/{scope}" for scope in sorted(scopes))
        asked = form.get("scope", "").split()
        if "offline_access" in asked:
            answer["refresh_token"] = self.tokens.sign_in(app.client_id, user.name)
        if "openid" in asked:
            answer["id_token"] = self._id_token(app, user, tenant_id, nonce)
        if form.get("client_info") == "1":
            answer["client_info"] = _b64u({"uid": user.object_id, "utid": tenant_id})
        return answer

    def _id_token(self, app: App, user: User, tenant_id: str, nonce: str) -> str:
        """Who has signed in (OpenID Connect Core 2); nobody checks its signature."""
        now = int(self.clock.seconds())
        claims = {
            "iss": self.issuer(tenant_id),
            "aud": app.client_id,
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "preferred_username": user.name,
            "name": f"{user.name} (rehearsal)",
            "oid": user.object_id,
            "tid": tenant_id,
            "sub": user.object_id,
            "ver": "2.0",
        }
        if nonce:
            claims["nonce"] = nonce
        return f"{_b64u({'alg': 'none'})}.{_b64u(claims)}.{_b64u({'rehearsal': 1})}"


def _delegated_scope(app: App, scope: str) -> tuple[str, frozenset[str]]:
    """Resource and permissions of a delegated scope; Declined without consent for it."""
    wanted = [each for each in scope.split() if each not in OPENID_SCOPES]
    resources = {each.rpartition("/")[0] for each in wanted}
    if len(resources) != 1:
        raise Declined(28002 if resources else 70011)
    resource = resources.pop()
    if resource not in RESOURCES:
        raise Declined(500011)
    names = frozenset(each.rpartition("/")[2] for each in wanted)
    granted = app.scopes if names == {".default"} else names
    if app.consent != "given" or not granted or not granted <= app.scopes:
        raise Declined(65001)
    return resource, granted


def _b64u(value: Mapping[str, Any]) -> str:
    octets = json.dumps(value).encode()
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
