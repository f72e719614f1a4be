"""The files of microsoft-smtp-oauth2-proxy: accounts people signed in to, an SMTP password each.

Read are its SQLite database (table `tokens`: addresses, passwords in clear, the cache of MSAL for
Node.js) and its environment (`.env`, or as `docker inspect` lists it), which names the app
registrations with their secrets. Accounts are personal ones: its authority is always "consumers".
Source: its db.ts, config.ts, microsoft.ts, filters.ts.

It let each account send as whatever Microsoft accepts; here a login begins with the addresses of
its account. Failures: all that cannot be read is among what is found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field, frozen

from m365gw.config.checks.clients import LOGIN
from m365gw.moving.dotenv import pairs_in, variables_in
from m365gw.moving.found import Found, Login, Table
from m365gw.moving.places import Place, Unreadable, text_of
from m365gw.moving.sqlite_file import Unusable, rows_of
from m365gw.smtp.addresses import parse_mailbox
from m365gw.smtp.replies import Refused

NAME: Final = "microsoft-smtp-oauth2-proxy"
TENANT: Final = "consumers"
DATABASES: Final = ("data/db.sqlite", "db.sqlite")
_QUERY: Final = (
    "SELECT uid, username, email, smtp_password, app_id, cache FROM tokens ORDER BY rowid"
)
_RULES: Final = ("ALLOWED_", "DISALLOWED_", "RULES_ORDER")
_LISTENERS: Final = {
    "SMTP_PORT": ("plain", "--tls none --quirk plaintext-auth"),
    "SMTP_TLS_PORT": ("smtps", "--tls implicit"),
    "SMTP_STARTTLS_PORT": ("submission", "--tls require"),
    "SMTP_AUTOTLS_PORT": ("auto", "--tls auto"),
}


def read(place: Place, cloud: str = "") -> Found:
    """What a folder with `.env` and the database holds; `cloud` is said for another one."""
    found = Found()
    try:
        variables, odd = variables_in(text_of(place, ".env") or "")
        for number in odd:
            found.breaks(f".env, line {number}", "is not NAME=VALUE")
        name, accounts = _accounts(place, variables)
        _Reading(found, name, variables, cloud or "worldwide").read(accounts)
    except Unreadable as problem:
        found.breaks(problem.name, problem.why)
    return found


@frozen
class _Account:
    """A row of its table, as text."""

    number: int
    uid: str
    username: str
    email: str
    password: str = field(repr=False)
    app_id: str
    cache: str = field(repr=False)


def _accounts(place: Place, variables: Mapping[str, str]) -> tuple[str, list[_Account]]:
    """The name of the database, and its rows. Raises `Unreadable`."""
    given = variables.get("SQLITE_PATH", "").removeprefix("/app/")  # where its image has it
    names = DATABASES if not given or given.startswith("/") else (given, *DATABASES)
    for name in names:
        database = place.read(name)
        if database is None:
            continue
        try:
            rows = rows_of(database, place.read(f"{name}-wal"), _QUERY)
        except Unusable as problem:
            raise Unreadable(name, str(problem)) from None
        return name, [
            _Account(number, *("" if each is None else str(each).strip() for each in row))
            for number, row in enumerate(rows, 1)
        ]
    raise Unreadable(names[0], f"is not there: this is no data of {NAME}")


@define
class _Reading:
    found: Found
    _name: str  # of the database
    _variables: Mapping[str, str]
    _cloud: str

    def read(self, accounts: list[_Account]) -> None:
        """Gather all there is."""
        apps = pairs_in(self._variables.get("APP_SECRETS", ""))
        if apps is None:
            self.found.breaks(".env, APP_SECRETS", "is not id:secret,id:secret")
        for account in accounts:
            self._account(account, apps or {})
        self._rules()
        self._listeners()

    def _account(self, account: _Account, apps: Mapping[str, str]) -> None:
        place = f"{self._name}, tokens, row {account.number}"
        app_id = account.app_id
        if app_id not in apps:  # it takes the default one then, and so do we
            app_id = self._variables.get("DEFAULT_APP_ID") or next(iter(apps), "")
        fault = self._fault(account, app_id, apps)
        if fault:
            self.found.breaks(place, fault)
            return
        values: Table = {
            "address": account.email,
            "flow": "web",
            "tenant": TENANT,
            "client_id": app_id,
            "client_secret": apps[app_id],
            "cloud": self._cloud,
        }
        senders = [account.email]
        if "@" in account.username and account.username.lower() != account.email.lower():
            values["sign_in_as"] = account.username
            senders.append(account.username)
        token = refresh_token_in(account.cache, app_id)
        if not token:
            why = f"nobody is signed in for {account.email}: m365gw mailbox signin {account.email}"
            self.found.leaves_out(place, why)
        self.found.add_mailbox(values, token)
        rule: Table = {"login": account.email, "senders": senders, "mailbox": account.email}
        self.found.logins[account.email] = Login(rule, clear=account.password)

    def _fault(self, account: _Account, app_id: str, apps: Mapping[str, str]) -> str:
        try:
            parse_mailbox(account.email)
        except Refused:
            return "its email is no mail address"
        if not LOGIN.fullmatch(account.email):
            return "its email is no login here"
        if account.email in self.found.logins:
            return f"{account.email} stands in an earlier row too, and a login is made once"
        if not account.password:
            return f"{account.email} has no password"
        if app_id not in apps:
            named = account.app_id or "its app"
            return f"the secret of {named} is missing: put APP_SECRETS=... into .env"
        return ""

    def _rules(self) -> None:
        """Who may register is said otherwise here; accounts that are there stay."""
        for name in sorted(self._variables):
            if name.startswith(_RULES):
                why = "who may make a password: say it in [self_service] allow and deny"
                self.found.leaves_out(f".env, {name}", why)

    def _listeners(self) -> None:
        for variable, (name, options) in _LISTENERS.items():
            for port in self._variables.get(variable, "").split(","):
                if port.strip().isdecimal():
                    words = (
                        f"m365gw listener add {name}-{port.strip()} tcp:{port.strip()} {options}"
                    )
                    self.found.advice.append(words)


def refresh_token_in(cache: str, app_id: str) -> str:
    """The refresh token of an app in a cache as MSAL for Node.js writes it; "" without one."""
    try:
        tokens: list[Any] = list(json.loads(cache)["RefreshToken"].values())
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return ""
    for token in tokens:
        if isinstance(token, dict) and token.get("client_id") == app_id:
            secret = token.get("secret")
            if isinstance(secret, str):
                return secret
    return ""
