"""A fleet of mailboxes of every kind, each with an app or a person of its own, at a rehearsal.

Half of them stand in the configuration, half are made beside it, as people make them. Each has a
login of its own, with a generated password. Persons sign in by device code, as they would.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from m365gw.config.clouds import clouds_of
from m365gw.config.documents import row_from
from m365gw.config.load import load
from m365gw.config.settings import Settings
from m365gw.directory import passwords
from m365gw.directory.database import Database
from m365gw.directory.registry import Registry
from m365gw.directory.vault import Vault
from m365gw.microsoft.clouds import Cloud
from m365gw.rehearsal.certificates import app_certificate
from m365gw.rehearsal.tenant import PUBLIC_APP_ID
from m365gw.relay.tokens.device_sign_in import DeviceSignIn
from m365gw.relay.tokens.https import https_session

SECRET = "rehearsal~secret~of~a~fleet"

# Flow, exit, and whether it is made beside the configuration; the kinds take turns.
KINDS = (
    ("secret", "smtp", False),
    ("certificate", "smtp", False),
    ("device", "smtp", False),
    ("secret", "graph", False),
    ("secret", "smtp", False),
    ("secret", "smtp", True),
    ("certificate", "smtp", True),
    ("device", "graph", True),
    ("secret", "graph", True),
    ("certificate", "graph", True),
)


@frozen
class Member:
    """One mailbox of the fleet, and the login that sends by it."""

    number: int

    @property
    def kind(self) -> tuple[str, str, bool]:
        return KINDS[self.number % len(KINDS)]

    @property
    def address(self) -> str:
        flow, exit, is_made = self.kind
        return f"{flow}-{exit}-{'made' if is_made else 'file'}-{self.number}@contoso.example"

    @property
    def is_person(self) -> bool:
        return self.kind[0] == "device"

    @property
    def login(self) -> str:
        return f"login{self.number}"

    @property
    def client_id(self) -> str:
        if self.is_person:
            return PUBLIC_APP_ID
        return f"00000000-0000-4000-9000-{self.number:012x}"


@define
class Fleet:
    """So many mailboxes. `configuration` are their tables; `enrol` and `make` do the rest."""

    count: int
    folder: Path
    passwords: dict[str, str] = field(factory=dict)  # by login
    _hashes: dict[str, str] = field(factory=dict)
    _pem: bytes = b""
    _certificate: str = ""

    def __attrs_post_init__(self) -> None:
        key, certificate = app_certificate("m365gw fleet")
        self._pem, self._certificate = key + certificate, certificate.decode()
        file = self.folder / "app.pem"
        file.write_bytes(self._pem)
        file.chmod(0o600)
        for member in self.members:
            self.passwords[member.login], self._hashes[member.login] = passwords.generate()

    @property
    def members(self) -> list[Member]:
        return [Member(number) for number in range(self.count)]

    def configuration(self) -> str:
        """The half that stands in the file, and all logins."""
        return "".join(self._tables())

    def _tables(self) -> Iterator[str]:
        for member in self.members:
            if not member.kind[2]:
                yield _table("mailbox", {**_settings(member), **self._proof(member)})
        for member in self.members:
            hashed = {"login": member.login, "password_hash": self._hashes[member.login]}
            if not member.kind[2]:
                yield _table("client", {**hashed, "senders": ["*"], "mailbox": member.address})

    def _proof(self, member: Member) -> dict[str, str]:
        if member.is_person:
            return {}
        if member.kind[0] == "secret":
            return {"client_secret": SECRET}
        return {"certificate_file": str(self.folder / "app.pem")}

    def enrol(self, control_port: int) -> None:
        """Tell the rehearsal of all of them."""
        apps = {
            member.client_id: {
                "secrets": [{"value": SECRET}],
                "certificates": [self._certificate],
                "mailboxes": [member.address],
            }
            for member in self.members
            if not member.is_person
        }
        boxes = {member.address: {"send_as": ["*"]} for member in self.members}
        _tell(control_port, "switches", {"apps": apps, "mailboxes": boxes})

    def make(self, file: Path, control_port: int) -> None:
        """Make the other half beside the configuration, and sign the persons in."""
        settings = load(str(file), {}).settings
        database = Database(settings.directory.url, settings.state_dir)
        try:
            vault = Vault(database, settings.state_dir)
            registry = Registry(database, vault, lambda: settings)
            for member in self.members:
                if member.kind[2]:
                    registry.add_mailbox(self._made(member), "bench")
                    registry.add_client(self._client(member), "bench")
            _tell(control_port, "switches", {"tenant": {"device_interval": 0.0}})
            self._sign_in(settings, vault, control_port)
        finally:
            database.close()

    def _made(self, member: Member) -> dict[str, str]:
        proof = self._proof(member)
        if proof.pop("certificate_file", ""):
            proof["certificate"] = self._pem.decode()
        return {**_settings(member), **proof}

    def _client(self, member: Member) -> dict[str, Any]:
        hashed = {"login": member.login, "password_hash": self._hashes[member.login]}
        return {**hashed, "senders": ["*"], "mailbox": member.address}

    def _sign_in(self, settings: Settings, vault: Vault, control_port: int) -> None:
        cloud: Cloud = clouds_of(settings)["rehearsal"]
        for member in self.members:
            if member.is_person:
                mailbox, _ = row_from("mailbox", _settings(member), member.address)
                sign_in = DeviceSignIn.begin(mailbox, cloud, https_session)
                order = {"user_code": sign_in.user_code, "user": member.address}
                _tell(control_port, "device", order)
                if not sign_in.poll(vault):
                    raise RuntimeError(f"{member.address} did not sign in")


def tokens_given(control_port: int) -> int:
    """How many access tokens the rehearsal has given out."""
    return int(_tell(control_port, "", None)["tokens"])


def received(control_port: int) -> int:
    """How many messages it has received."""
    return int(_tell(control_port, "", None)["messages"])


def _settings(member: Member) -> dict[str, str]:
    flow, exit, _ = member.kind
    return {
        "address": member.address,
        "flow": flow,
        "exit": exit,
        "tenant": "contoso.example",
        "client_id": member.client_id,
        "cloud": "rehearsal",
    }


def _table(name: str, values: Mapping[str, Any]) -> str:
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    return f"\n[[{name}]]\n{lines}"


def _tell(port: int, path: str, order: Any) -> Any:
    address = f"http://127.0.0.1:{port}/rehearsal/{path}".rstrip("/")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    body = None if order is None else json.dumps(order).encode()
    with opener.open(urllib.request.Request(address, data=body)) as answer:
        return json.loads(answer.read())
