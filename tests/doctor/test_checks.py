"""Tests of what single checks make of what they see."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Client, Listener, Mailbox, Settings
from m365gw.doctor.checks.claims import claims_of, permissions
from m365gw.doctor.checks.clock import judged as clock_judged
from m365gw.doctor.checks.patience import judged as patience_judged
from m365gw.doctor.checks.sender_domains import SPF
from m365gw.doctor.checks.sender_domains import look as look_at_domains
from m365gw.doctor.finding import Finding, bad
from m365gw.doctor.gateway import Gateway
from m365gw.doctor.lookups import Answer
from m365gw.doctor.memory import FILE, Memory
from m365gw.microsoft.diagnosis import Diagnosis

NOW = 1_800_000_000.0
DENIED = Diagnosis("auth-unsuccessful", "No.", "Right missing.", "Grant it.", "exchange-admin")


class ClockTests(SynchronousTestCase):
    def test_bounds(self) -> None:
        """A minute is a warning, five are a failure, both ways."""
        for off, result in (
            (59, "ok"),
            (-61, "warn"),
            (299, "warn"),
            (-300, "fail"),
            (400, "fail"),
        ):
            with self.subTest(off=off):
                self.assertEqual(clock_judged("", off).result, result)


class ClaimTests(SynchronousTestCase):
    def test_opaque_tokens_have_none(self) -> None:
        """Those of personal accounts are no JWT, and nothing is raised for any text."""
        for token in ("EwBAA8l6BAAUO", "a.b.c", "", "..", "a.W10.c"):
            with self.subTest(token=token):
                self.assertIsNone(claims_of(token))

    def test_permissions_of_users_and_apps(self) -> None:
        """scp is a text, roles a list."""
        claims = {"scp": "SMTP.Send openid", "roles": ["Mail.Send"]}
        body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
        found = claims_of(f"x.{body}.y")
        assert found is not None
        self.assertEqual(permissions(found), {"SMTP.Send", "openid", "Mail.Send"})


class MemoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.memory = Memory(str(self.folder))
        failed = Finding("D09", "", bad("", "", DENIED))
        self.findings = {"D09": failed}

    def test_since_when_it_fails(self) -> None:
        """The first time is kept as long as it is the same failure; the file is private."""
        self.memory.remember({"Relay@contoso.com": self.findings}, NOW)
        self.memory.remember({"relay@contoso.com": self.findings}, NOW + 60)
        (kept,) = self.memory.failures("relay@contoso.com")
        self.assertEqual((kept.since, kept.last), (NOW, NOW + 60))
        self.assertEqual((self.folder / FILE).stat().st_mode & 0o077, 0)
        self.memory.remember({"relay@contoso.com": {}}, NOW)
        self.assertEqual(self.memory.failures("relay@contoso.com"), ())

    def test_a_damaged_file_is_no_memory(self) -> None:
        """Whatever stands in it."""
        for octets in (b"{", b"[]", b'{"a": [{"x": 1}]}', b"\xff"):
            (self.folder / FILE).write_bytes(octets)
            with self.subTest(octets=octets):
                self.assertEqual(self.memory.failures("a"), ())

    def test_wait_until(self) -> None:
        """Two hours from the first failure; after that waiting is no cure."""
        self.memory.remember({"a": self.findings}, NOW)
        before = self.memory.failures("a")
        self.assertEqual(patience_judged(self.findings, (), NOW).result, "info")
        self.assertEqual(patience_judged(self.findings, before, NOW + 60).result, "warn")
        late = patience_judged(self.findings, before, NOW + 7200)
        self.assertIn("waiting is no cure", late.came_back)


class SenderDomainTests(SynchronousTestCase):
    def told(self, **records: Any) -> str:
        """What is told of a domain whose records are these; "__" stands for a dot."""
        named = {name.replace("__", "."): answer for name, answer in records.items()}

        async def ask(name: str, kind: str) -> Answer:
            self.assertEqual(kind, "CNAME" if "_domainkey" in name else "TXT")
            return named.get(name, Answer())

        mailbox = Mailbox(
            address="relay@contoso.com", flow="secret", tenant="t", client_id="c", client_secret="s"
        )
        client = Client(
            login="p", password_hash="x", senders=("*@contoso.com", "*"), mailbox=mailbox.address
        )
        settings = Settings(
            mailbox=(mailbox,), client=(client,), listener=(Listener(name="a", endpoint="tcp:0"),)
        )
        tools: Any = type("Tools", (), {"ask_dns": staticmethod(ask)})()
        looked = Deferred.fromCoroutine(look_at_domains(Gateway(settings, tools)))
        seen: Any = self.successResultOf(looked)
        self.assertEqual(seen.result, "info")
        return str(seen.came_back)

    def test_nothing_there(self) -> None:
        """The record to add is given."""
        self.assertIn(f'no SPF (add TXT "{SPF}")', self.told())
        self.assertIn("_dmarc.contoso.com", self.told())

    def test_all_there(self) -> None:
        """Then that is said."""
        told = self.told(
            contoso__com=Answer((SPF,)),
            _dmarc__contoso__com=Answer(("v=DMARC1; p=none",)),
            selector1___domainkey__contoso__com=Answer(("x.onmicrosoft.com",)),
        )
        self.assertEqual(told, "contoso.com: SPF lists Microsoft, DKIM is there, DMARC is there")

    def test_two_records_are_an_error(self) -> None:
        """RFC 7208 4.5; and one without Microsoft is named."""
        self.assertIn("two SPF", self.told(contoso__com=Answer((SPF, SPF))))
        other = Answer(("v=spf1 ip4:192.0.2.1 -all",))
        self.assertIn("lacks Microsoft", self.told(contoso__com=other))

    def test_a_silent_resolver_is_said(self) -> None:
        """And is no missing record."""
        self.assertIn("SPF unknown (timeout)", self.told(contoso__com=Answer(fault="timeout")))
