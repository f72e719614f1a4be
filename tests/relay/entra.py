"""Entra as MSAL sees it, played by a test: no socket, no TLS, no thread."""

from __future__ import annotations

import base64
import json
from typing import Any

import requests

from m365gw.config.settings import Mailbox
from m365gw.directory.vault import VaultError
from m365gw.microsoft.clouds import PRESETS, Cloud

CLOUD = PRESETS["worldwide"]
ADDRESS = "relay@contoso.com"


def mailbox(**changes: Any) -> Mailbox:
    """A mailbox with a client secret, unless a test says otherwise."""
    settings = {
        "address": ADDRESS,
        "flow": "secret",
        "tenant": "contoso.example",
        "client_id": "11111111-2222-3333-4444-555555555555",
        "client_secret": "s3cret-value",
    }
    return Mailbox(**{**settings, **changes})


class Answer:
    """The part of a `requests.Response` that is read."""

    def __init__(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        self.status_code = status
        self.headers = headers or {}
        self.text = body if isinstance(body, str) else json.dumps(body)


def refusal(error: str, code: int = 0, **more: object) -> dict[str, object]:
    """The JSON of an error."""
    codes = [code] if code else []
    return {"error": error, "error_description": f"AADSTS{code}: no", "error_codes": codes, **more}


class Entra:
    """Gives tokens AT1, AT2, ...; scripted answers come first.

    `script` holds answers to POSTs: an `Answer`, an exception to raise, or None for the usual one.
    """

    def __init__(self) -> None:
        self.user = ADDRESS
        self.life = 3600
        self.script: list[Answer | Exception | None] = []
        self.discovery: Answer | Exception | None = None
        self.posts: list[dict[str, str]] = []
        self.gets: list[str] = []
        self.opened = 0
        self.closed = 0
        self.granted = 0
        self.timeouts: set[object] = set()
        self.nonce = ""
        self.account = ("o1", "t1")  # id and tenant
        self.claims: dict[str, object] = {}  # others than the usual ones, in id tokens
        self.lacking: tuple[str, ...] = ()  # fields that are left out

    def session(self, cloud: Cloud) -> Entra:
        """What flows are given as `open_session`."""
        self.opened += 1
        return self

    def get(self, url: str, **keywords: Any) -> Any:
        self.gets.append(url)
        self.timeouts.add(keywords.get("timeout"))
        if isinstance(self.discovery, Exception):
            raise self.discovery
        root = url.split("/v2.0/")[0] + "/oauth2/v2.0/"
        return self.discovery or Answer(
            200,
            {
                "authorization_endpoint": root + "authorize",
                "token_endpoint": root + "token",
                "device_authorization_endpoint": root + "devicecode",
            },
        )

    def post(self, url: str, **keywords: Any) -> Any:
        form = keywords["data"]
        self.posts.append(form)
        self.timeouts.add(keywords.get("timeout"))
        scripted = self.script.pop(0) if self.script else None
        if isinstance(scripted, Exception):
            raise scripted
        if scripted is not None:
            return scripted
        if url.endswith("/devicecode"):
            return Answer(200, DEVICE_CODE)
        return Answer(200, self._grant(form))

    def close(self) -> None:
        self.closed += 1

    def _grant(self, form: dict[str, str]) -> dict[str, object]:
        self.granted += 1
        grant: dict[str, object] = {
            "token_type": "Bearer",
            "access_token": f"AT{self.granted}",
            "expires_in": self.life,
        }
        if form["grant_type"] != "client_credentials":
            object_id, tenant = self.account
            claims: dict[str, object] = {
                "iss": CLOUD.authority_of(tenant) + "/v2.0",
                "aud": form["client_id"],
                "preferred_username": self.user,
                "name": "Joe",
                "oid": object_id,
                "tid": tenant,
                "sub": "s1",
                **({"nonce": self.nonce} if self.nonce else {}),
                **self.claims,
            }
            grant |= {
                "refresh_token": f"RT{self.granted}",
                "scope": CLOUD.user_scope,
                "client_info": _base64({"uid": object_id, "utid": tenant}),
                "id_token": f"{_base64({'alg': 'none'})}.{_base64(claims)}.signature",
            }
        return {name: value for name, value in grant.items() if name not in self.lacking}


DEVICE_CODE = {
    "user_code": "ABCD-EFGH",
    "device_code": "a-secret-device-code",
    "verification_uri": "https://microsoft.com/devicelogin",
    "expires_in": 900,
    "interval": 5,
    "message": "To sign in, open the page and enter the code ABCD-EFGH.",
}

PENDING = Answer(400, {"error": "authorization_pending", "error_codes": [70016]})
OFFLINE = requests.ConnectionError("no route, and a body with a secret")
BROKEN = Answer(503, {"error": "temporarily_unavailable"}, {"Retry-After": "120"})
PROXY_PAGE = Answer(502, "<html>AT-leaked-in-a-page</html>")


class Store:
    """A vault in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.is_broken = False

    def load(self, name: str) -> bytes | None:
        if self.is_broken:
            raise VaultError("the vault does not open")
        return self.kept.get(name)

    def amend(self, name: str, old: bytes, secret: bytes, action: str) -> bool:
        return self.replace(name, old, secret)

    def replace(self, name: str, old: bytes, secret: bytes) -> bool:
        if self.load(name) != old:
            return False
        self.store(name, secret)
        return True

    def store(self, name: str, secret: bytes) -> None:
        if self.is_broken:
            raise VaultError("the vault does not open")
        self.kept[name] = secret


def _base64(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
