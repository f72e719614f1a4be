"""Writes the files that other programs write, as their source code says; none of them runs here."""

from __future__ import annotations

import json
import sqlite3
import time
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

# "printer-password" as Dovecot's scheme ARGON2ID writes it
ARGON2ID = (
    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$mx00nbK9qt+4pKkIT5qyKA"
    "$dxmkks33nQJlI9Ex7f66d/X98GqKqLEPSLPqP6qUoFw"
)
CONFIG: dict[str, Any] = {
    "hostname": "relay.contoso.example",
    "domain": "contoso.example",
    "mynetworks": ["127.0.0.0/8", "10.1.0.0/16", "[2001:db8::]/32"],
    "relayhost": "[smtp.office365.com]:587",
    "ms365_smtp_user": "relay@contoso.example",
    "tls": {"smtpd_25": "may", "smtpd_587": "encrypt"},
    "oauth": {
        "tenant_id": "11111111-2222-4333-8444-555555555555",
        "client_id": "00000000-0000-4000-8000-0000000000a2",
        "auto_refresh_minutes": 30,
    },
    "allowed_from": {"printer": ["scanner@contoso.example", "@devices.contoso.example"], "erp": []},
    "default_from": {"printer": "scanner@contoso.example"},
}
USERS = "printer:{PLAIN}printer-password\nerp:{PLAIN}erp-password\n"
REFRESH_TOKEN = "1.refresh-token-of-relay"


def simple_m365_relay(
    folder: Path,
    *,
    config: dict[str, Any] = CONFIG,
    users: str = USERS,
    token: str = REFRESH_TOKEN,
    version: int = 2,
) -> Path:
    """The data volume of simple-m365-relay; version 2 keeps its settings in SQLite."""
    for name in ("config", "sasl", "state", "tokens"):
        (folder / name).mkdir(parents=True)
    if version == 1:
        (folder / "config/config.json").write_text(json.dumps(config, indent=2))
    else:
        with closing(sqlite3.connect(folder / "state/relay.db")) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(
                "CREATE TABLE settings (id integer PRIMARY KEY DEFAULT 1 NOT NULL, config text NOT"
                " NULL, applied_hash text, applied_config text, updated_at integer NOT NULL)"
            )
            row = (json.dumps(config), int(time.time()))
            database.execute("INSERT INTO settings (config, updated_at) VALUES (?, ?)", row)
            database.commit()
    (folder / "sasl/users").write_text(users)
    if token:
        expiry = int(time.time()) + 3600
        text = {"access_token": "eyJ0.eyJ1.c2ln", "refresh_token": token, "expiry": expiry}
        (folder / "tokens" / config["ms365_smtp_user"]).write_text(json.dumps(text, indent=2))
    return folder


def backup_of_simple_m365_relay(file: Path, config: str = "", users: str = USERS) -> Path:
    """The zip its page gives: settings and logins, no token."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("meta.json", '{"format": "simple-m365-relay-backup", "version": 2}')
        archive.writestr("config/config.json", config or json.dumps(CONFIG))
        archive.writestr("sasl/users", users)
    return file


JOE = "joe@outlook.example"
APP = "00000000-0000-4000-8000-0000000000a3"
SMTP_PASSWORD = "0123456789abcdef0123456789abcdef"


def account(email: str = JOE, **changes: str) -> dict[str, str]:
    """A row of the table of microsoft-smtp-oauth2-proxy."""
    row = {
        "uid": f"uid-of-{email}",
        "username": email,
        "email": email,
        "smtp_password": SMTP_PASSWORD,
        "app_id": APP,
        "cache": node_cache(f"1.refresh-token-of-{email}"),
    }
    return {**row, **changes}


def node_cache(token: str, client_id: str = APP) -> str:
    """What MSAL for Node.js writes of a signed-in person."""
    home = "00000000-0000-0000-aaaa-bbbbbbbbbbbb.9188040d-6c67-4c5b-b112-36a304b66dad"
    key = f"{home}-login.windows.net-refreshtoken-{client_id}----"
    entry = {
        "home_account_id": home,
        "environment": "login.windows.net",
        "credential_type": "RefreshToken",
        "client_id": client_id,
        "secret": token,
    }
    whole = {"Account": {}, "IdToken": {}, "AccessToken": {}, "RefreshToken": {key: entry}}
    return json.dumps({**whole, "AppMetadata": {}})


def microsoft_smtp_oauth2_proxy(
    folder: Path, *accounts: dict[str, str], env: str = f"APP_SECRETS={APP}:app-secret\n"
) -> Path:
    """A folder with its `.env`, and its database where it keeps it."""
    (folder / "data").mkdir(parents=True)
    (folder / ".env").write_text(env)
    with closing(sqlite3.connect(folder / "data/db.sqlite")) as database:
        database.execute(
            "CREATE TABLE tokens (uid TEXT NOT NULL PRIMARY KEY, username TEXT NOT NULL, email TEXT"
            " NOT NULL, smtp_password TEXT NOT NULL, smtp_password_updated_at TIMESTAMP, app_id"
            " TEXT NOT NULL, cache TEXT NOT NULL, expires_at TIMESTAMP NULL, retry_refresh INTEGER"
            " NOT NULL DEFAULT 0, created_at TIMESTAMP, updated_at TIMESTAMP)"
        )
        database.execute("PRAGMA user_version = 2")
        for row in accounts or (account(),):
            database.execute(
                "INSERT INTO tokens (uid, username, email, smtp_password, app_id, cache) VALUES"
                " (:uid, :username, :email, :smtp_password, :app_id, :cache)",
                row,
            )
        database.commit()
    return folder


MAIN_CF = """\
# See /usr/share/postfix/main.cf.dist for a commented, more complete version
compatibility_level = 3.6
myhostname = relay.contoso.example
mydomain = contoso.example
myorigin = $mydomain
mynetworks = 127.0.0.0/8 [::1]/128,
    10.1.0.0/16
relayhost = [smtp.office365.com]:587
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = hash:${config}/sasl_passwd
smtp_sasl_mechanism_filter = xoauth2
smtp_sasl_security_options =
smtpd_sasl_auth_enable = yes
smtpd_sender_login_maps = hash:$config/sender_login_maps
smtpd_sender_restrictions = reject_sender_login_mismatch
config = /etc/postfix
maximal_queue_lifetime = 3d
smtpd_milters = inet:localhost:11332
"""


def postfix(root: Path, **files: str) -> Path:
    """A tree with Postfix and sasl-xoauth2 as their guides set them up; gives its etc/postfix."""
    tenant = "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token"
    app = {"client_id": CONFIG["oauth"]["client_id"], "client_secret": "", "token_endpoint": tenant}
    token = {"access_token": "eyJ0.eyJ1.c2ln", "expiry": "0", "refresh_token": REFRESH_TOKEN}
    contents = {
        "etc/postfix/main.cf": MAIN_CF,
        "etc/postfix/sasl_passwd": (
            "[smtp.office365.com]:587 relay@contoso.example:/etc/tokens/relay@contoso.example\n"
        ),
        "etc/postfix/sender_login_maps": (
            "scanner@contoso.example printer\n@erp.example erp, test\n"
        ),
        "etc/dovecot/users": f"printer:{ARGON2ID}\nerp:{{PLAIN}}erp-password::::::\n",
        "etc/sasl-xoauth2.conf": json.dumps(app, indent=2),
        "var/spool/postfix/etc/tokens/relay@contoso.example": json.dumps(token, indent=2),
        **{name.replace("__", "/"): text for name, text in files.items()},
    }
    for name, text in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root / "etc/postfix"
