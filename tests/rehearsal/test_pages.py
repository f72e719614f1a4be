"""Tests of the sign-in over HTTPS, with the real MSAL."""

from __future__ import annotations

from typing import Any

import msal
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from twisted.logger import formatEvent, globalLogPublisher

from m365gw.rehearsal.certificates import app_certificate
from m365gw.rehearsal.tenant import APP_ID, APP_SECRET
from tests.rehearsal.dialogue import MESSAGE, RELAY, xoauth2
from tests.rehearsal.running import ALICE, DEFAULT, USER_SCOPE, RehearsalCase, in_thread


class MsalTests(RehearsalCase):
    """All flows with the real MSAL."""

    async def test_secret_and_smtp(self) -> None:
        """A token by secret opens the mailbox, and a message arrives octet for octet."""

        def client() -> None:
            token = self.app().acquire_token_for_client(DEFAULT)["access_token"]
            with self.smtp(token) as smtp:
                smtp.sendmail(RELAY, ["b@x.example", "c@x.example"], MESSAGE + b".dot\r\n")

        await in_thread(client)
        [kept] = self.rehearsal.record.messages()
        self.assertEqual(kept.content, MESSAGE + b".dot\r\n")
        self.assertEqual(kept.recipients, ("b@x.example", "c@x.example"))
        self.assertEqual(kept.client_id, APP_ID)

    async def test_no_log_line_holds_a_secret(self) -> None:
        """Neither token nor client secret is logged, at any level."""
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        app = await in_thread(self.app)
        token = (await in_thread(app.acquire_token_for_client, DEFAULT))["access_token"]
        client = await in_thread(self.smtp, token)
        await in_thread(client.quit)
        logged = "\n".join(f"{formatEvent(event)} {event!r}" for event in events)
        self.assertIn("signed in", logged)
        for secret in (token, token[-40:], APP_SECRET, xoauth2(RELAY, token)[-60:]):
            self.assertNotIn(secret, logged)

    async def test_certificate_both_ways(self) -> None:
        """PS256 with the certificate, RS256 with the thumbprint only."""
        key, pem = app_certificate("gateway")
        self.rehearsal.tenant.register_certificate(APP_ID, pem)
        thumbprint = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA1()).hex()
        for credential in (
            {"private_key": key.decode(), "public_certificate": pem.decode()},
            {"private_key": key.decode(), "thumbprint": thumbprint},
        ):
            app = await in_thread(self.app, client_credential=credential)
            answer = await in_thread(app.acquire_token_for_client, DEFAULT)
            self.assertIn("access_token", answer, answer)

    async def test_unregistered_certificate(self) -> None:
        """AADSTS700027, as MSAL reports it."""
        key, pem = app_certificate("gateway")
        credential = {"private_key": key.decode(), "public_certificate": pem.decode()}
        app = await in_thread(self.app, client_credential=credential)
        answer = await in_thread(app.acquire_token_for_client, DEFAULT)
        self.assertEqual((answer["error"], answer["error_codes"]), ("invalid_client", [700027]))

    async def test_wrong_secret(self) -> None:
        """AADSTS7000215 with trace and correlation ids."""
        app = await in_thread(self.app, client_credential="wrong")
        answer = await in_thread(app.acquire_token_for_client, DEFAULT)
        self.assertEqual(answer["error_codes"], [7000215])
        self.assertIn("correlation_id", answer)

    async def test_device_code_refresh_and_revocation(self) -> None:
        """Sign-in, silent renewal with rotation, the user's mailbox, and the end of it."""
        app = await in_thread(self.public_app)
        flow = await in_thread(app.initiate_device_flow, USER_SCOPE)

        def poll() -> Any:
            return app.acquire_token_by_device_flow(flow, exit_condition=lambda _: True)

        self.assertEqual((await in_thread(poll))["error"], "authorization_pending")
        self.rehearsal.devices.approve(flow["user_code"], ALICE)
        answer = await in_thread(poll)
        self.assertIn("access_token", answer, answer)
        [account] = app.get_accounts()
        self.assertEqual(account["username"], ALICE)

        def renew() -> Any:
            return app.acquire_token_silent_with_error(USER_SCOPE, account, force_refresh=True)

        renewed = await in_thread(renew)
        self.assertNotEqual(renewed["access_token"], answer["access_token"])
        client = await in_thread(self.smtp, renewed["access_token"], ALICE)
        await in_thread(client.quit)
        self.rehearsal.tokens.revoke_sessions(ALICE)
        refused = await in_thread(renew)
        self.assertEqual((refused["error"], refused["suberror"]), ("invalid_grant", "bad_token"))

    async def test_person_declines_on_the_page(self) -> None:
        """The page takes the code and the answer of the person, and says what it is."""
        app = await in_thread(self.public_app)
        flow = await in_thread(app.initiate_device_flow, USER_SCOPE)
        web = self.web()
        page = await in_thread(web.get, flow["verification_uri"])
        self.assertIn("This is a rehearsal, not Microsoft", page.text)
        form = {"user_code": flow["user_code"], "user": ALICE, "answer": "decline"}
        page = await in_thread(web.post, flow["verification_uri"], data=form)
        self.assertIn("You have declined", page.text)
        answer = await in_thread(
            app.acquire_token_by_device_flow, flow, exit_condition=lambda _: True
        )
        self.assertEqual(answer["error"], "authorization_declined")

    async def test_person_approves_on_the_page(self) -> None:
        """A wrong code is told, the right one signs in."""
        app = await in_thread(self.public_app)
        flow = await in_thread(app.initiate_device_flow, USER_SCOPE)
        form = {"user_code": "<wrong>", "user": ALICE, "answer": "approve"}
        page = await in_thread(self.web().post, flow["verification_uri"], data=form)
        self.assertIn("not known", page.text)
        self.assertNotIn("<wrong>", page.text)
        form["user_code"] = flow["user_code"]
        await in_thread(self.web().post, flow["verification_uri"], data=form)
        answer = await in_thread(
            app.acquire_token_by_device_flow, flow, exit_condition=lambda _: True
        )
        self.assertIn("access_token", answer)

    async def test_unknown_tenant(self) -> None:
        """MSAL cannot even begin."""
        authority = self.rehearsal.authority.rpartition("/")[0] + "/fabrikam.example"
        with self.assertRaises(ValueError):
            await in_thread(self.app, authority=authority)

    async def test_scripted_token_errors(self) -> None:
        """A number, a proxy's page, a dead service: MSAL sees them as from Microsoft."""
        self.rehearsal.faults.order_from({"phase": "token", "aadsts": 53003})
        answer = await in_thread((await in_thread(self.app)).acquire_token_for_client, DEFAULT)
        self.assertEqual(
            (answer["error"], answer["error_codes"]), ("interaction_required", [53003])
        )
        self.rehearsal.faults.order_from({"phase": "token", "status": 200, "body": "<html>"})
        with self.assertRaises(ValueError):
            await in_thread((await in_thread(self.app)).acquire_token_for_client, DEFAULT)
        self.rehearsal.faults.order_from(
            {"phase": "token", "status": 503, "headers": {"Retry-After": "7"}}
        )
        with self.assertRaises(msal.exceptions.MsalServiceError):
            await in_thread((await in_thread(self.app)).acquire_token_for_client, DEFAULT)
        self.rehearsal.faults.order_from({"phase": "token", "action": "drop"})
        with self.assertRaises(requests.RequestException):
            await in_thread((await in_thread(self.app)).acquire_token_for_client, DEFAULT)

    async def test_stalled_sign_in(self) -> None:
        """A stall that ends is only slow; one without end needs a timeout of the client."""
        self.rehearsal.faults.order_from({"phase": "discovery", "action": "stall", "seconds": 0.01})
        url = f"{self.rehearsal.authority}/v2.0/.well-known/openid-configuration"
        self.assertEqual((await in_thread(self.web().get, url)).status_code, 200)
        self.rehearsal.faults.order_from({"phase": "discovery", "action": "stall"})
        with self.assertRaises(requests.Timeout):
            await in_thread(self.web().get, url, timeout=0.2)
