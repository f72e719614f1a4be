"""Moving over, as an operator does it: import, and the devices go on with their old passwords.

The other programs do not run here: their files are written as they write them. The refresh tokens
in those files are real ones of the rehearsal, issued to their apps.
"""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from m365gw.rehearsal.tenant import APP_SECRET, PUBLIC_APP_ID, WEB_APP_ID
from tests.moving.other_programs import (
    ARGON2ID,
    CONFIG,
    SMTP_PASSWORD,
    account,
    microsoft_smtp_oauth2_proxy,
    node_cache,
    simple_m365_relay,
)
from tests.whole.stage import CONFIGURATION, RELAY, SENDER, WholeTestCase

JOE = "joe@outlook.example"
EMPTY = (
    CONFIGURATION[: CONFIGURATION.index("[[mailbox]]")]
    + CONFIGURATION[CONFIGURATION.index("[governor]") :]
)
SCOPE = {"scope": "https://outlook.office.com/SMTP.Send offline_access openid profile"}
BACK = "http://localhost"


class ImportTests(WholeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.microsoft365 = self.microsoft("--no-limits")
        switches = {"mailboxes": {JOE: {}}, "users": {JOE: {"personal": True}}}
        apps = {WEB_APP_ID: {"personal": True}}
        self.microsoft365.ask("switches", {**switches, "apps": apps})
        self.browser = requests.Session()
        self.addCleanup(self.browser.close)
        self.browser.verify = self.microsoft365.ports["ca_file"]
        self.browser.trust_env = False

    def test_nobody_notices(self) -> None:
        """Both programs, one after the other: same login, same password, no new sign-in."""
        gate = self.gateway(self.microsoft365, configuration=EMPTY)
        relay, proxy = self.folder / "relay", self.folder / "proxy"
        simple_m365_relay(
            relay,
            config={
                **CONFIG,
                "oauth": {"tenant_id": "contoso.example", "client_id": PUBLIC_APP_ID},
            },
            users=f"printer:{ARGON2ID}\n",
            token=self.by_device_code(RELAY),
        )
        microsoft_smtp_oauth2_proxy(
            proxy,
            account(JOE, app_id=WEB_APP_ID, cache=node_cache(self.by_link(JOE), WEB_APP_ID)),
            env=f"APP_SECRETS={WEB_APP_ID}:{APP_SECRET}\n",
        )
        for source, folder in (
            ("simple-m365-relay", relay),
            ("microsoft-smtp-oauth2-proxy", proxy),
        ):
            words = ("import", source, str(folder), "--cloud", "rehearsal", "--json")
            done = gate.command(*words)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            entries = json.loads(done.stdout)["entries"]
            self.assertEqual({each["done"] for each in entries}, {"made"})
            self.assert_no_secret(done.stdout)
        self.send(gate.ports["submission"], "printer", "printer-password", SENDER)
        self.send(gate.ports["submission"], JOE, SMTP_PASSWORD, JOE)
        received = {each["mailbox"] for each in self.microsoft365.wait_for(2)}
        self.assertEqual(received, {RELAY, JOE})
        self.assertEqual(gate.of("incident.opened"), [])
        again = json.loads(gate.command(*words).stdout)["entries"]
        self.assertEqual({each["done"] for each in again}, {"there"})

    def send(self, port: int, login: str, password: str, sender: str) -> None:
        self.run_client(
            "swaks",
            *("--server", "127.0.0.1", "--port", str(port), "--tls", "--auth", "LOGIN"),
            *("--auth-user", login, "--auth-password", password),
            *("--from", sender, "--to", "you@elsewhere.example"),
        )

    def by_device_code(self, user: str) -> str:
        """The refresh token of a person who entered a code, as sasl-xoauth2-tool gets it."""
        app = {"client_id": PUBLIC_APP_ID}
        asked = self.entra("contoso.example", "devicecode", {**app, **SCOPE})
        self.microsoft365.ask("device", {"user_code": asked["user_code"], "user": user})
        grant = "urn:ietf:params:oauth:grant-type:device_code"
        form = {**app, "grant_type": grant, "device_code": asked["device_code"]}
        return self.entra("contoso.example", "token", form)["refresh_token"]

    def by_link(self, user: str) -> str:
        """The refresh token of a person who signed in on a page, as MSAL for Node.js gets it."""
        app = {"client_id": WEB_APP_ID, "redirect_uri": BACK, **SCOPE}
        query = urlencode({**app, "response_type": "code"})
        link = f"{self.address('consumers', 'authorize')}?{query}"
        person = {"user": user, "answer": "yes"}
        said = self.browser.post(link, person, allow_redirects=False, timeout=30)
        (code,) = parse_qs(urlsplit(said.headers["Location"]).query)["code"]
        form = {**app, "grant_type": "authorization_code", "code": code}
        answer = self.entra("consumers", "token", {**form, "client_secret": APP_SECRET})
        return answer["refresh_token"]

    def entra(self, tenant: str, page: str, form: dict[str, str]) -> dict[str, str]:
        """What Entra answers to a form."""
        said = self.browser.post(self.address(tenant, page), form, timeout=30).json()
        answer: dict[str, str] = said
        return answer

    def address(self, tenant: str, page: str) -> str:
        return f"https://127.0.0.1:{self.microsoft365.ports['https']}/{tenant}/oauth2/v2.0/{page}"
