"""Tests for `m365gw.moving.microsoft_smtp_oauth2_proxy`. Its files are written by a double."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.moving.found import Found
from m365gw.moving.microsoft_smtp_oauth2_proxy import read, refresh_token_in
from m365gw.moving.places import Folder
from tests.moving.other_programs import (
    APP,
    JOE,
    SMTP_PASSWORD,
    account,
    microsoft_smtp_oauth2_proxy,
    node_cache,
)


class MicrosoftSmtpOauth2ProxyTests(SynchronousTestCase):
    def found(self, *accounts: dict[str, str], **changes: Any) -> Found:
        self.folder = Path(self.mktemp())
        return read(Folder(microsoft_smtp_oauth2_proxy(self.folder, *accounts, **changes)))

    def test_account(self) -> None:
        """A mailbox of its app, the sign-in, and a login with the password people have."""
        found = self.found()
        self.assertEqual(found.broken, [])
        self.assertEqual(
            list(found.mailboxes.values()),
            [
                {
                    "address": JOE,
                    "flow": "web",
                    "tenant": "consumers",
                    "client_id": APP,
                    "client_secret": "app-secret",
                    "cloud": "worldwide",
                }
            ],
        )
        self.assertEqual(found.sign_ins, {JOE: f"1.refresh-token-of-{JOE}"})
        self.assertEqual(found.logins[JOE].clear, SMTP_PASSWORD)
        self.assertEqual(found.logins[JOE].values, {"login": JOE, "senders": [JOE], "mailbox": JOE})

    def test_other_user_name(self) -> None:
        """Who signs in by another name than the address does so here too."""
        found = self.found(account(username="joe@live.example"))
        (mailbox,) = found.mailboxes.values()
        self.assertEqual(mailbox["sign_in_as"], "joe@live.example")
        self.assertEqual(found.logins[JOE].values["senders"], [JOE, "joe@live.example"])

    def test_where_the_database_is(self) -> None:
        """As its environment says, in the folder of its image, or alone as in its volume."""
        self.found()
        (self.folder / "data/db.sqlite").rename(self.folder / "mine.db")
        env = f"APP_SECRETS={APP}:s\nSQLITE_PATH="
        for name in ("/app/mine.db", "mine.db"):
            (self.folder / ".env").write_text(env + name)
            self.assertEqual(list(read(Folder(self.folder)).logins), [JOE])
        (self.folder / "mine.db").rename(self.folder / "db.sqlite")
        self.assertEqual(list(read(Folder(self.folder)).logins), [JOE])

    def test_ended_sign_in(self) -> None:
        """It wipes the cache at any error: the account is made, and who must sign in is said."""
        for cache in ("", "{half", "[]", '{"RefreshToken": {"x": 3}}', node_cache("t", "other")):
            found = self.found(account(cache=cache))
            self.assertEqual((list(found.logins), found.sign_ins), ([JOE], {}))
            self.assertIn(f"m365gw mailbox signin {JOE}", str(found.left_out))

    def test_secrets_of_several_apps(self) -> None:
        """Each account keeps its app; one whose app is gone takes the default, as it did there."""
        rows = account(), account("ann@outlook.example", app_id="gone")
        env = f'APP_SECRETS={{"first": "with, comma", {APP}: second}}\nDEFAULT_APP_ID=first\n'
        found = self.found(*rows, env=f"# comment\n\nexport {env}")
        apps = [(each["client_id"], each["client_secret"]) for each in found.mailboxes.values()]
        self.assertEqual(apps, [(APP, "second"), ("first", "with, comma")])

    def test_rules_and_ports(self) -> None:
        """Who may register is said elsewhere here; ports are given as commands."""
        more = "ALLOWED_EMAILS_LIST=a@b.example\nRULES_ORDER=x\nSMTP_PORT=25\nSMTP_TLS_PORT=465,x\n"
        found = self.found(env=f"APP_SECRETS={APP}:s\n{more}SMTP_STARTTLS_PORT=587\n")
        self.assertEqual([each.place for each in found.left_out][0], ".env, ALLOWED_EMAILS_LIST")
        self.assertEqual(
            found.advice,
            [
                "m365gw listener add plain-25 tcp:25 --tls none --quirk plaintext-auth",
                "m365gw listener add smtps-465 tcp:465 --tls implicit",
                "m365gw listener add submission-587 tcp:587 --tls require",
            ],
        )

    def test_what_is_broken(self) -> None:
        """Each is said with its place, and no secret with it."""
        for words, found in (
            ("is no mail address", self.found(account("joe"))),
            ("no login here", self.found(account('"j o"@outlook.example'))),
            ("stands in an earlier row", self.found(account(), account(uid="2"))),
            ("has no password", self.found(account(smtp_password=""))),
            ("is missing: put APP_SECRETS", self.found(env="")),
            ("is not id:secret", self.found(env="APP_SECRETS=app-secret\n")),
            ("line 2: is not NAME=VALUE", self.found(env=f"APP_SECRETS={APP}:s\napp-secret\n")),
        ):
            self.assertIn(words, ", ".join(map(str, found.broken)))
            self.assertNotIn("app-secret", str(found.broken))
            self.assertNotIn(SMTP_PASSWORD, str(found))
        shutil.rmtree(self.folder / "data")
        self.assertIn("this is no data of", str(read(Folder(self.folder)).broken))

    @given(st.recursive(st.none() | st.integers() | st.text(), st.lists))
    def test_cache_of_any_shape(self, value: Any) -> None:
        """It holds a token or none."""
        whole = json.loads(node_cache("token"))
        for key in ("RefreshToken", "Account"):
            self.assertIn(refresh_token_in(json.dumps({**whole, key: value}), APP), ("", "token"))
        self.assertEqual(refresh_token_in(json.dumps({"RefreshToken": {"k": value}}), APP), "")
