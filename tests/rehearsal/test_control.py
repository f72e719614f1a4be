"""Tests of the control interface."""

from __future__ import annotations

from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from m365gw.rehearsal.certificates import app_certificate
from m365gw.rehearsal.props import TOKEN
from m365gw.rehearsal.tenant import APP_ID, PUBLIC_APP_ID
from tests.rehearsal.dialogue import MESSAGE, RELAY
from tests.rehearsal.running import ALICE, USER_SCOPE, RehearsalCase, in_thread


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

    async def test_usage(self) -> None:
        """What was used of the limits, by mailbox."""
        self.rehearsal.exchange.meters.count_message(RELAY)
        usage = (await self.ask("GET", "/usage")).json()["mailboxes"]
        self.assertEqual(usage[RELAY]["messages"], 1)

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
        went_on: list[str] = []
        self.rehearsal.faults.stalled.append(lambda: went_on.append("once"))
        for _ in range(2):
            await self.ask("POST", "/go-on", {})
        self.assertEqual(went_on, ["once"])

    async def test_certificate(self) -> None:
        """As PEM and as DER, beside those the app knows; what is none is told."""
        _, pem = app_certificate("m365gw")
        der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
        url = f"http://127.0.0.1:{self.rehearsal.control_port}/rehearsal/certificate"
        for octets, status in ((pem, 200), (der, 200), (b"none", 400)):
            answer = await in_thread(self.web().request, "POST", url, data=octets)
            self.assertEqual(answer.status_code, status)
        self.assertEqual(self.rehearsal.tenant.apps[APP_ID].certificates, (pem, pem))

    async def test_federation(self) -> None:
        """The token in the folder has the claim that was ordered."""
        await self.ask("POST", "/federation", {"aud": "somebody else"})
        token = await in_thread((self.rehearsal.folder / TOKEN).read_text)
        claims = jwt.decode(token, options={"verify_signature": False})
        self.assertEqual(claims["aud"], "somebody else")

    async def test_renamed_mailbox(self) -> None:
        """Its old address is nobody's; its owner and the app with rights on it keep it."""
        new = "post@contoso.example"
        await self.ask("POST", "/rename", {"mailbox": RELAY, "to": new})
        tenant = self.rehearsal.tenant
        self.assertIsNone(tenant.mailbox(RELAY))
        self.assertEqual(tenant.mailboxes[new].address, new)
        self.assertTrue(tenant.users[RELAY].owns(new))
        self.assertIn(new, tenant.apps[APP_ID].mailboxes)

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
