"""Tests of a whole rehearsal on loopback sockets, with MSAL, smtplib and requests as clients."""

from __future__ import annotations

import logging
import smtplib
import socket
import ssl
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msal
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from m365gw.rehearsal.certificates import app_certificate
from m365gw.rehearsal.limits import Limits
from m365gw.rehearsal.rehearsal import Rehearsal
from m365gw.rehearsal.tenant import APP_ID, APP_SECRET, PUBLIC_APP_ID
from tests.rehearsal.dialogue import MESSAGE, RELAY, xoauth2

DEFAULT = ["https://outlook.office365.com/.default"]
USER_SCOPE = ["https://outlook.office.com/SMTP.Send"]
ALICE = "alice@contoso.example"

Value = TypeVar("Value")


def in_thread(call: Callable[..., Value], *args: Any, **kw: Any) -> Deferred[Value]:
    """A blocking client, in a thread of its own."""
    return deferToThread(call, *args, **kw)


class RehearsalCase(TestCase):
    """A rehearsal that runs, and blocking clients for it."""

    def setUp(self) -> Deferred[None]:
        logging.getLogger("msal").setLevel(logging.CRITICAL)
        limits = Limits.off()
        self.rehearsal = Rehearsal(Path(self.mktemp()), reactor=reactor, limits=limits)
        self.addCleanup(self.stop)
        return Deferred.fromCoroutine(self.rehearsal.start())

    def stop(self) -> Deferred[None]:
        """Ends the rehearsal."""
        return Deferred.fromCoroutine(self.rehearsal.stop())

    def web(self) -> requests.Session:
        """An HTTP client that trusts the rehearsal's authority and nothing else."""
        session = requests.Session()
        session.verify, session.trust_env = str(self.rehearsal.certificates.authority), False
        self.addCleanup(session.close)
        return session

    def app(self, **changes: Any) -> Any:
        """MSAL for the confidential app."""
        settings = {
            "client_credential": APP_SECRET,
            "authority": self.rehearsal.authority,
            "instance_discovery": False,
            "http_client": self.web(),
        }
        return msal.ConfidentialClientApplication(APP_ID, **(settings | changes))

    def public_app(self) -> Any:
        """MSAL for the public app."""
        return msal.PublicClientApplication(
            PUBLIC_APP_ID,
            authority=self.rehearsal.authority,
            instance_discovery=False,
            http_client=self.web(),
        )

    def smtp(self, token: str, mailbox: str = RELAY) -> smtplib.SMTP:
        """smtplib, secured and signed in."""
        client = smtplib.SMTP("127.0.0.1", self.rehearsal.smtp_port, "gateway.example", timeout=20)
        client.starttls(
            context=ssl.create_default_context(cafile=str(self.rehearsal.certificates.authority))
        )
        client.ehlo()
        client.docmd("AUTH XOAUTH2")
        code, text = client.docmd(xoauth2(mailbox, token))
        assert code == 235, (code, text)
        return client


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


class SubmissionTests(RehearsalCase):
    """Submission over real TLS."""

    async def test_large_message(self) -> None:
        """25 MiB arrive whole."""
        message = MESSAGE + (b"." + b"x" * 75 + b"\r\n") * (25 * 2**20 // 78)
        token = self.token()

        def client() -> None:
            with self.smtp(token) as smtp:
                smtp.sendmail(RELAY, ["b@x.example"], message)

        await in_thread(client)
        [kept] = self.rehearsal.record.messages()
        self.assertEqual(kept.size, len(message))
        self.assertTrue(kept.content == message)

    def token(self) -> str:
        """An access token, without the way through HTTPS."""
        tenant = self.rehearsal.tenant
        scope, roles = DEFAULT[0].removesuffix("/.default"), tenant.apps[APP_ID].roles
        return self.rehearsal.tokens.issue("test", tenant.apps[APP_ID], "", scope, roles)

    async def test_drop_at_the_dot(self) -> None:
        """The client sees a cut connection; the message is there all the same."""
        self.rehearsal.faults.order_from({"phase": "dot", "action": "drop", "record": True})
        token = self.token()

        def client() -> None:
            smtp = self.smtp(token)
            with self.assertRaises(smtplib.SMTPServerDisconnected):
                smtp.sendmail(RELAY, ["b@x.example"], MESSAGE)
            smtp.close()

        await in_thread(client)
        self.assertEqual(self.rehearsal.record.messages()[0].fate, "no answer")

    async def test_stop_ends_sessions(self) -> None:
        """Nobody is left connected."""
        client = await in_thread(self.smtp, self.token())
        await self.rehearsal.stop()
        with self.assertRaises((OSError, smtplib.SMTPServerDisconnected)):
            await in_thread(client.docmd, "NOOP")
        client.close()


class AddressTests(TestCase):
    """Where it listens, and where it does not."""

    def test_only_loopback(self) -> None:
        """Other addresses are refused before anything is made."""
        for interface in ("0.0.0.0", "::", "192.0.2.1"):
            folder = Path(self.mktemp())
            with self.assertRaises(ValueError):
                Rehearsal(folder, reactor=reactor, interface=interface)
            self.assertFalse(folder.exists())

    async def test_taken_port(self) -> None:
        """When one port is taken, none stays open."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            rehearsal = Rehearsal(Path(self.mktemp()), reactor=reactor, control_port=port)
            with self.assertRaises(CannotListenError):
                await rehearsal.start()
        self.assertEqual(rehearsal.ports(), {"smtp": 0, "https": 0, "control": 0})


class SettingsTests(RehearsalCase):
    """The text for a gateway's configuration."""

    def test_settings(self) -> None:
        """A TOML table marked as a rehearsal, with the TENANT left to be filled in."""
        cloud = tomllib.loads(self.rehearsal.settings_toml())["cloud"]["rehearsal"]
        self.assertTrue(cloud["rehearsal"])
        self.assertEqual(cloud["smtp"], f"127.0.0.1:{self.rehearsal.smtp_port}")
        self.assertEqual(
            cloud["authority"], f"https://127.0.0.1:{self.rehearsal.https_port}/TENANT"
        )
        self.assertTrue(Path(cloud["ca_file"]).is_file())


class ControlTests(RehearsalCase):
    """The control interface."""

    async def ask(self, method: str, path: str, values: Any = None, **kw: Any) -> Any:
        """One request; its answer."""
        url = f"http://127.0.0.1:{self.rehearsal.control_port}/rehearsal{path}"
        return await in_thread(self.web().request, method, url, json=values, **kw)

    async def test_messages(self) -> None:
        """List, content, forgetting."""
        self.rehearsal.record.add(
            MESSAGE,
            at=1.0,
            connection=1,
            mailbox=RELAY,
            client_id=APP_ID,
            sender=RELAY,
            recipients=("b@x.example",),
        )
        [message] = (await self.ask("GET", "/messages?since=0&limit=5")).json()["messages"]
        self.assertEqual((message["number"], message["recipients"]), (1, ["b@x.example"]))
        self.assertEqual((await self.ask("GET", "/messages/1")).content, MESSAGE)
        await self.ask("DELETE", "/messages")
        self.assertEqual((await self.ask("GET", "/messages")).json(), {"messages": []})
        self.assertEqual((await self.ask("GET", "/messages/1")).status_code, 400)
        self.assertEqual((await self.ask("GET", "")).json()["messages"], 1)

    async def test_faults(self) -> None:
        """Ordered, shown, cleared."""
        answer = await self.ask("POST", "/faults", {"phase": "dot", "answer": "quota"})
        self.assertTrue(answer.json()["answer"].startswith("554 5.2.0"))
        self.assertEqual(len((await self.ask("GET", "")).json()["faults"]), 1)
        await self.ask("DELETE", "/faults")
        self.assertEqual(self.rehearsal.faults.pending, [])

    async def test_switches_device_and_revocation(self) -> None:
        """All that a test needs to change from outside."""
        await self.ask("POST", "/switches", {"mailboxes": {RELAY: {"full": True}}})
        mailbox = self.rehearsal.tenant.mailbox(RELAY)
        self.assertTrue(mailbox is not None and mailbox.full)
        code = self.rehearsal.devices.begin(PUBLIC_APP_ID, USER_SCOPE[0])
        await self.ask("POST", "/device", {"user_code": code.user_code, "user": ALICE})
        self.assertEqual(code.user, ALICE)
        await self.ask("POST", "/device", {"user_code": code.user_code, "decline": True})
        self.assertEqual(code.declined, 65004)
        self.rehearsal.tokens.sign_in(PUBLIC_APP_ID, ALICE)
        answer = await self.ask("POST", "/revoke", {"sessions": ALICE, "access": ""})
        self.assertEqual(answer.json(), {"sessions": 1, "access": 0})

    async def test_mistakes_are_told(self) -> None:
        """400 with words, and nothing changed."""
        for method, path, values in (
            ("POST", "/faults", {"phase": "lunch"}),
            ("POST", "/switches", {"foo": {}}),
            ("POST", "/device", {}),
            ("POST", "/device", {"user_code": "X", "user": "Y"}),
            ("POST", "/lunch", {}),
            ("POST", "/faults", [1]),
            ("GET", "/messages/x", None),
            ("PUT", "/messages", None),
        ):
            answer = await self.ask(method, path, values)
            self.assertEqual(answer.status_code, 400, path)
            self.assertIn("error", answer.json())

    async def test_browsers_are_kept_out(self) -> None:
        """Requests with a foreign Host or any Origin are refused."""
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            answer = await self.ask("DELETE", "/messages", headers=headers)
            self.assertEqual(answer.status_code, 400)
