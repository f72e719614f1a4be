"""The files of simple-m365-relay (Postfix, sasl-xoauth2 and a web page), versions 1 and 2.

Read are the data volume and the zip that its page makes as a backup, which has no token. Version 2
keeps its settings in `state/relay.db`, table `settings`, as JSON; version 1 and the zip in
`config/config.json`. Logins are in `sasl/users` (Dovecot), the token in `tokens/MAILBOX`. Settings
that came from its environment are taken from a `.env` in the folder. Source: its render.py,
backup.py, control.py, config.ts.

What it allowed is kept: a login sends only as the addresses of `allowed_from`, a trusted network
as anybody. Failures: all that cannot be read is among what is found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any, Final

from attrs import define

from m365gw.moving.dotenv import variables_in
from m365gw.moving.found import Found, Login, Table
from m365gw.moving.json_values import Object, object_in, table_at, text_at, texts_at
from m365gw.moving.mynetworks import networks_in
from m365gw.moving.owners import of_networks, without_others
from m365gw.moving.passwd_file import Line, lines_of
from m365gw.moving.places import Place, Unreadable, text_of
from m365gw.moving.postfix_words import cloud_of, pattern_of
from m365gw.moving.sasl_xoauth2 import App, Token, token_of
from m365gw.moving.sqlite_file import Unusable, rows_of
from m365gw.smtp.addresses import parse_mailbox
from m365gw.smtp.replies import Refused

NAME: Final = "simple-m365-relay"
DATABASE: Final = "state/relay.db"
CONFIG: Final = "config/config.json"
USERS: Final = "sasl/users"
_QUERY: Final = "SELECT config FROM settings WHERE id = 1"
_TLS: Final = {"none": "none", "encrypt": "require"}  # and "may": "starttls"


def read(place: Place, cloud: str = "") -> Found:
    """What a data folder or a backup holds; `cloud` is said where it cannot be known."""
    found = Found()
    try:
        name, config = _config(place)
        variables = variables_in(text_of(place, ".env") or "")[0]
        _Reading(place, name, config, variables, cloud, found).read()
    except Unreadable as problem:
        found.breaks(problem.name, problem.why)
    return found


def _config(place: Place) -> tuple[str, Object]:
    """The settings, and the name of the file they are in. Raises `Unreadable`."""
    database = place.read(DATABASE)
    if database is not None:
        try:
            rows = rows_of(database, place.read(f"{DATABASE}-wal"), _QUERY)
        except Unusable as problem:
            raise Unreadable(DATABASE, str(problem)) from None
        if rows and isinstance(rows[0][0], str):
            return DATABASE, object_in(rows[0][0], DATABASE)
    text = text_of(place, CONFIG)
    if text is None:
        why = f"is not there, nor are settings in {DATABASE}: this is no data of {NAME}"
        raise Unreadable(CONFIG, why)
    return CONFIG, object_in(text, CONFIG)


@define
class _Reading:
    """One data folder or backup, once its settings are known."""

    _place: Place
    _name: str  # of the file with the settings
    _config: Object
    _variables: Mapping[str, str]
    _cloud: str
    found: Found

    def read(self) -> None:
        """Gather all there is. Raises `Unreadable`."""
        address = text_at(self._config, "ms365_smtp_user") or self._variable("MS365_SMTP_USER")
        if self._mailbox(address):
            self._logins(address)
            self._networks(address)
            self._listeners()

    def _variable(self, name: str) -> str:
        return self._variables.get(name, "").strip()

    def _mailbox(self, address: str) -> bool:
        """Whether there is a mailbox: without one nothing else has a meaning."""
        try:
            parse_mailbox(address)
        except Refused:
            why = "ms365_smtp_user is no mail address; put MS365_SMTP_USER=... into a file .env"
            self.found.breaks(self._name, why)
            return False
        app = App(
            client_id=text_at(self._config, "oauth", "client_id")
            or self._variable("MS365_CLIENT_ID"),
            tenant=text_at(self._config, "oauth", "tenant_id") or self._variable("MS365_TENANT_ID"),
        )
        token = self._token(address, app)
        app = token.app if token else app
        if not app.client_id or not app.tenant:
            why = (
                "the app registration is not named (oauth.client_id, oauth.tenant_id); put"
                " MS365_CLIENT_ID=... and MS365_TENANT_ID=... into a file .env beside it"
            )
            self.found.breaks(self._name, why)
            return False
        values: Table = {"address": address, "tenant": app.tenant, "client_id": app.client_id}
        values["flow"] = "web" if app.client_secret else "device"
        if app.client_secret:
            values["client_secret"] = app.client_secret
        values["cloud"] = self._cloud or app.cloud or self._known_cloud()
        self.found.add_mailbox(values, token.refresh_token if token else "")
        return True

    def _known_cloud(self) -> str:
        relayhost = text_at(self._config, "relayhost") or self._variable("RELAYHOST")
        try:
            return cloud_of(relayhost) if relayhost else "worldwide"
        except ValueError as error:
            why = f'relayhost {error}; "worldwide" is taken, or say --cloud'
            self.found.leaves_out(self._name, why)
            return "worldwide"

    def _token(self, address: str, app: App) -> Token | None:
        name = f"tokens/{token_file(address)}"
        try:
            text = text_of(self._place, name)
            if text is not None:
                return token_of(text, name, app)
            self.found.leaves_out(
                name,
                "is not there (a backup never holds it). Copy it into a folder with the rest, or"
                f" sign in anew: m365gw mailbox signin {address}",
            )
        except Unreadable as problem:
            self.found.breaks(problem.name, problem.why)
        return None

    def _logins(self, mailbox: str) -> None:
        allowed = table_at(self._config, "allowed_from")
        lines = self._users()
        for login in allowed:
            if login not in lines:
                why = f"allowed_from names {login!r}, which has no password in {USERS}"
                lines[login] = Line(0, login, why_new=why)
        allowed_senders = without_others({each: self._senders(each) for each in lines}, self.found)
        for login, line in lines.items():
            place = f"{USERS}, line {line.number}" if line.number else self._name
            senders = allowed_senders[login]
            if not senders:
                why = f"{login!r} may send as nobody (allowed_from), so it could not send"
                self.found.leaves_out(place, why)
                continue
            values: Table = {"login": login, "senders": senders, "mailbox": mailbox}
            values |= self._default_from(login, senders)
            login_found = Login(values, line.clear, line.hash, line.why_new)
            self.found.logins[login] = login_found

    def _users(self) -> dict[str, Line]:
        try:
            text = text_of(self._place, USERS)
        except Unreadable as problem:
            self.found.breaks(problem.name, problem.why)
            return {}
        if text is None and self._place.read("sasl/sasldb2") is not None:
            self.found.leaves_out(
                "sasl/sasldb2",
                "is a database of Cyrus SASL, which is not read; its logins need new passwords",
            )
        lines: dict[str, Line] = {}
        for line in lines_of(text or ""):
            if line.fault:
                self.found.breaks(f"{USERS}, line {line.number}", line.fault)
            else:
                lines[line.login] = line  # as Dovecot's last word; its page writes each once
        return lines

    def _senders(self, login: str) -> list[str]:
        domain = text_at(self._config, "domain")
        senders: list[str] = []
        for text in texts_at(table_at(self._config, "allowed_from"), login):
            try:
                pattern = pattern_of(text.strip().lower(), domain)
            except ValueError as error:
                place = f"{self._name}, allowed_from of {login!r}"
                self.found.breaks(place, f"{text!r}: {error}")
                continue
            if pattern not in senders:
                senders.append(pattern)
        return senders

    def _default_from(self, login: str, senders: list[str]) -> Table:
        address = text_at(self._config, "default_from", login).lower()
        if address and address not in senders:
            why = f"default_from of {login!r} is not in its allowed_from; it never had an effect"
            self.found.leaves_out(self._name, why)
        return {"default_from": address} if address in senders else {}

    def _networks(self, mailbox: str) -> None:
        place = f"{self._name}, mynetworks"
        words = [word.strip() for word in texts_at(self._config, "mynetworks")]
        for cidr in networks_in(words, place, self.found):
            if ip_network(cidr).is_loopback:
                why = (
                    f"{cidr} was the inside of its container; here it would be every program of"
                    " this machine. If that is wanted: m365gw network add"
                )
                self.found.leaves_out(place, why)
                continue
            self.found.networks[cidr] = {"cidr": cidr, "senders": ["*"], "mailbox": mailbox}
        if self.found.networks and self.found.logins:
            self.found.leaves_out(place, of_networks(self.found.networks))

    def _listeners(self) -> None:
        tls: dict[str, Any] = dict(table_at(self._config, "tls"))
        networks = " ".join(f"--network {cidr}" for cidr in self.found.networks)
        mode = _TLS.get(str(tls.get("smtpd_25")), "starttls")
        words = f"m365gw listener add smtp tcp:25 --tls {mode} --auth offer {networks}"
        self.found.advice.append(words.rstrip())
        if self.found.logins:
            mode = _TLS.get(str(tls.get("smtpd_587", "encrypt")), "starttls")
            self.found.advice.append(f"m365gw listener add submission tcp:587 --tls {mode}")


def token_file(user: str) -> str:
    """The name of the token file of a mailbox, as simple-m365-relay makes it."""
    name = re.sub(r"[^A-Za-z0-9_.@+\-]", "_", user.strip())
    while ".." in name:
        name = name.replace("..", "__")
    return name.strip("._-")[:128]
