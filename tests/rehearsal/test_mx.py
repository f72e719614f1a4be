"""Tests for `m365gw.rehearsal.mx`: who the connector knows, and what it says to others."""

from __future__ import annotations

import smtplib
import ssl
from pathlib import Path
from typing import Any

from m365gw.rehearsal.certificates import app_certificate, inspected_pem
from tests.rehearsal.running import RehearsalCase, in_thread

YOU = "you@elsewhere.example"
COLLEAGUE = "alice@contoso.example"
SCANNER = "scanner@contoso.example"


class MxCase(RehearsalCase):
    def recipients(self, *addresses: str, pem: Any = b"", sender: str = SCANNER) -> Any:
        """What smtplib hears to each RCPT TO, with this certificate or without."""

        def talk() -> list[str]:
            context = ssl.create_default_context(cafile=str(self.rehearsal.certificates.authority))
            if pem:
                file = Path(self.mktemp())
                file.write_bytes(pem)
                context.load_cert_chain(file)
            with smtplib.SMTP("127.0.0.1", self.rehearsal.mx_port, "gateway.example") as client:
                client.starttls(context=context)
                client.ehlo()
                self.assertFalse(client.has_extn("auth"))
                client.mail(sender)
                answers = [client.rcpt(address) for address in addresses]
            return [f"{code} {text.decode()}" for code, text in answers]

        return in_thread(talk)

    @property
    def ours(self) -> bytes:
        return self.rehearsal.certificates.gateway.read_bytes()


class ConnectorTests(MxCase):
    """By certificate and by address."""

    async def test_who_is_known_may_relay(self) -> None:
        """With the certificate of the connector anybody may be written to, as the tenant."""
        [one, other] = await self.recipients(YOU, COLLEAGUE, pem=self.ours)
        self.assertEqual({one[:3], other[:3]}, {"250"})
        [one] = await self.recipients(YOU, pem=self.ours, sender="me@fabrikam.example")
        self.assertIn("5.7.64 TenantAttribution; Relay Access Denied", one)

    async def test_who_is_not_known_may_not(self) -> None:
        """Without a certificate, or with one of another name or authority, or one that has no
        connector any more: only mail for the tenant is taken."""
        other_name = self.rehearsal.certificates.elsewhere.read_bytes()
        self_signed = b"".join(app_certificate("gateway.contoso.example"))
        for pem in (b"", other_name, self_signed, inspected_pem()):
            with self.subTest(pem=pem[:60]):
                [one, other] = await self.recipients(YOU, COLLEAGUE, pem=pem)
                self.assertIn("550 5.7.64 TenantAttribution", one)
                self.assertEqual(other[:3], "250")
        self.rehearsal.tenant.connector = ""
        [one] = await self.recipients(YOU, pem=self.ours)
        self.assertIn("5.7.64", one)

    async def test_by_address(self) -> None:
        """A connector may know an address, and a name with a star."""
        self.rehearsal.tenant.connector = ""
        self.rehearsal.tenant.connector_addresses = ("127.0.0.1",)
        [one] = await self.recipients(YOU)
        self.assertEqual(one[:3], "250")
        self.rehearsal.tenant.connector_addresses = ()
        self.rehearsal.tenant.connector = "*.contoso.example"
        [one] = await self.recipients(YOU, pem=self.ours)
        self.assertEqual(one[:3], "250")

    async def test_direct_send(self) -> None:
        """Mail in the tenant's own name from unknown senders may be refused."""
        self.rehearsal.tenant.reject_direct_send = True
        [one] = await self.recipients(COLLEAGUE)
        self.assertIn("5.7.68 TenantInboundAttribution; Direct Send not allowed", one)
        [one] = await self.recipients(COLLEAGUE, sender="me@fabrikam.example")
        self.assertEqual(one[:3], "250")

    async def test_a_message(self) -> None:
        """It is in the record, as mail of no mailbox."""

        def send() -> None:
            context = ssl.create_default_context(cafile=str(self.rehearsal.certificates.authority))
            context.load_cert_chain(self.rehearsal.certificates.gateway)
            with smtplib.SMTP("127.0.0.1", self.rehearsal.mx_port, "gateway.example") as client:
                client.starttls(context=context)
                client.sendmail(SCANNER, YOU, f"From: {SCANNER}\r\nSubject: x\r\n\r\nHello.\r\n")

        await in_thread(send)
        [message] = self.rehearsal.record.messages(0, 10)
        self.assertEqual((message.mailbox, message.recipients), ("by connector", (YOU,)))
