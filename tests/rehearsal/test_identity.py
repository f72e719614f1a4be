"""Tests of the pretend Azure hosts, and of the pages in a browser, over real connections."""

from __future__ import annotations

import time
from typing import Any

from m365gw.rehearsal.tenant import IDENTITY_HEADER, IDENTITY_ID, TENANT_ID, WEB_APP_ID, App
from tests.rehearsal.running import RehearsalCase, in_thread

OFFICE = "https://outlook.office365.com"
CALLBACK = "https://relay.example.com/auth/callback"


class IdentityTests(RehearsalCase):
    """Tokens of hosts."""

    def machine(self, headers: Any = None, **changes: str) -> Any:
        query = {"api-version": "2018-02-01", "resource": OFFICE, **changes}
        url = f"http://127.0.0.1:{self.rehearsal.control_port}/metadata/identity/oauth2/token"
        given = {"Metadata": "true"} if headers is None else headers
        return self.web().get(url, params=query, headers=given, timeout=120)

    async def test_machine(self) -> None:
        """As IMDS: times are texts, and the token is the identity's."""
        answer = (await in_thread(self.machine)).json()
        self.assertEqual(answer["expires_in"], "4500")
        grant = self.rehearsal.tokens.grant(answer["access_token"])
        assert grant is not None
        self.assertEqual(grant.client_id, IDENTITY_ID)

    async def test_user_assigned(self) -> None:
        """By client id, and only those that are assigned."""
        self.rehearsal.tenant.apps["u1"] = App(client_id="u1", managed="user")
        answer = await in_thread(self.machine, client_id="u1")
        self.assertEqual(answer.json()["client_id"], "u1")
        answer = await in_thread(self.machine, client_id=WEB_APP_ID)
        self.assertEqual(answer.status_code, 400)
        self.assertEqual(answer.json()["error_description"], "Identity not found")

    async def test_what_a_machine_refuses(self) -> None:
        """Without the header that no browser sends, forwarded, or for an unknown resource."""
        for headers, changes in (
            ({}, {}),
            ({"Metadata": "true", "X-Forwarded-For": "1.2.3.4"}, {}),
            (None, {"api-version": "2000-01-01"}),
            (None, {"resource": "https://elsewhere.example"}),
        ):
            answer = await in_thread(self.machine, headers, **changes)
            self.assertEqual(answer.status_code, 400)
            self.assertIn("error", answer.json())

    async def test_app_service(self) -> None:
        """The header is the secret there, and the end of the token a time."""

        def ask(header: str) -> Any:
            url = f"http://127.0.0.1:{self.rehearsal.control_port}/msi/token"
            query = {"api-version": "2019-08-01", "resource": OFFICE}
            return self.web().get(
                url, params=query, headers={"X-IDENTITY-HEADER": header}, timeout=120
            )

        answer = (await in_thread(ask, IDENTITY_HEADER)).json()
        self.assertGreater(int(answer["expires_on"]), time.time())
        self.assertEqual((await in_thread(ask, "guess")).status_code, 401)

    async def test_faults(self) -> None:
        """A host can be told to answer anything."""
        self.rehearsal.faults.order_from(
            {"phase": "identity", "status": 410, "body": "later", "headers": {"Retry-After": "70"}}
        )
        answer = await in_thread(self.machine)
        self.assertEqual((answer.status_code, answer.headers["Retry-After"]), (410, "70"))
        self.assertEqual((await in_thread(self.machine)).status_code, 200)


class BrowserTests(RehearsalCase):
    """Pages."""

    def page(self, path: str, query: dict[str, str], answer: dict[str, str] | None = None) -> Any:
        url = f"https://127.0.0.1:{self.rehearsal.https_port}/{TENANT_ID}/{path}"
        verb = "GET" if answer is None else "POST"
        return self.web().request(
            verb, url, params=query, data=answer, timeout=120, allow_redirects=False
        )

    def asking(self, **changes: str) -> dict[str, str]:
        return {
            "client_id": WEB_APP_ID,
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "scope": "https://outlook.office.com/SMTP.Send",
            "state": "<s&1>",
            **changes,
        }

    async def test_there_and_back(self) -> None:
        """The page offers the users; the answer goes back by query with the state."""
        query = self.asking(login_hint="alice@contoso.example")
        shown = await in_thread(self.page, "oauth2/v2.0/authorize", query)
        self.assertIn("<option selected>alice@contoso.example", shown.text)
        answer = {"user": "alice@contoso.example", "answer": "yes"}
        back = await in_thread(self.page, "oauth2/v2.0/authorize", query, answer)
        self.assertEqual(back.status_code, 302)
        self.assertTrue(back.headers["Location"].startswith(f"{CALLBACK}?code=1."))
        self.assertIn("state=%3Cs%261%3E", back.headers["Location"])

    async def test_form_post(self) -> None:
        """By form post the state comes back escaped."""
        query = self.asking(response_mode="form_post")
        back = await in_thread(self.page, "oauth2/v2.0/authorize", query, {"answer": "no"})
        self.assertIn('value="&lt;s&amp;1&gt;"', back.text)
        self.assertIn("AADSTS", back.text)

    async def test_refusals(self) -> None:
        """No, and what is ordered, go back; an unknown app or address is only shown."""
        answer = {"user": "alice@contoso.example", "answer": "no"}
        back = await in_thread(self.page, "oauth2/v2.0/authorize", self.asking(), answer)
        self.assertIn("AADSTS65004", back.headers["Location"])
        self.rehearsal.faults.order_from({"phase": "authorize", "aadsts": 53003})
        back = await in_thread(self.page, "oauth2/v2.0/authorize", self.asking())
        self.assertIn("AADSTS53003", back.headers["Location"])
        for changes, number in (
            ({"redirect_uri": "https://evil.example"}, 50011),
            ({"client_id": "nobody"}, 700016),
        ):
            query = self.asking(**changes)
            shown = await in_thread(self.page, "oauth2/v2.0/authorize", query)
            self.assertEqual(shown.status_code, 400)
            self.assertIn(f"AADSTS{number}", shown.text)

    async def test_admin_consent(self) -> None:
        """An administrator consents for all, or does not."""
        self.rehearsal.tenant.change_app(WEB_APP_ID, consent="admin")
        query = {"client_id": WEB_APP_ID, "redirect_uri": CALLBACK, "state": "s"}
        shown = await in_thread(self.page, "v2.0/adminconsent", query)
        self.assertIn("asks an administrator", shown.text)
        back = await in_thread(self.page, "v2.0/adminconsent", query, {"answer": "no"})
        self.assertIn("error=access_denied", back.headers["Location"])
        self.assertEqual(self.rehearsal.tenant.apps[WEB_APP_ID].consent, "admin")
        back = await in_thread(self.page, "v2.0/adminconsent", query, {"answer": "yes"})
        self.assertIn("admin_consent=True", back.headers["Location"])
        self.assertEqual(self.rehearsal.tenant.apps[WEB_APP_ID].consent, "given")
        for wrong in ({**query, "client_id": "x"}, {**query, "redirect_uri": "https://evil"}):
            self.assertEqual(
                (await in_thread(self.page, "v2.0/adminconsent", wrong)).status_code, 400
            )
