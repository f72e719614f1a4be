"""Tests of what single checks make of what they see."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Client, Listener, Mailbox, Settings
from m365gw.doctor.case import Case, Gateway
from m365gw.doctor.checks.claims import claims_of, permissions
from m365gw.doctor.checks.clock import judged as clock_judged
from m365gw.doctor.checks.headroom import OFTEN
from m365gw.doctor.checks.headroom import look as look_at_headroom
from m365gw.doctor.checks.patience import judged as patience_judged
from m365gw.doctor.checks.sender_domains import SPF
from m365gw.doctor.checks.sender_domains import look as look_at_domains
from m365gw.doctor.finding import Finding, Seen, bad
from m365gw.doctor.lookups import Answer
from m365gw.doctor.memory import FILE, Memory
from m365gw.doctor.tools import Facts
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.relay.limits.governor import Governor
from m365gw.spool.health import Health
from m365gw.spool.ledger import LEDGER, Ledger

NOW = 1_800_000_000.0
BOX = "relay@contoso.com"
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


class HeadroomTests(SynchronousTestCase):
    """D15, with the service running and stopped."""

    def setUp(self) -> None:
        spool = Path(self.mktemp()).absolute()
        (spool / "state").mkdir(parents=True)
        self.ledger = spool / LEDGER
        mailbox = Mailbox(address=BOX, flow="secret", tenant="t", client_id="c", client_secret="s")
        client = Client(login="fax", password_hash="x", senders=("fax@contoso.com",), mailbox=BOX)
        self.settings = Settings(spool_dir=str(spool), mailbox=(mailbox,), client=(client,))

    def told(self, times: int) -> None:
        """Microsoft says so often that there are too many connections."""
        ledger = Ledger(str(self.ledger), Health(time.time))
        governor = Governor(self.settings.governor, ledger, ())
        for _ in range(times):
            governor.fewer_connections(BOX)
        ledger.close()

    def look(self, facts: Facts | None = None) -> Seen:
        """What D15 says."""

        async def call(function: Any) -> Any:
            return function()

        calls: Any = type("Calls", (), {"call": staticmethod(call)})()
        tools: Any = type(
            "Tools",
            (),
            {"calls": calls, "facts": lambda _: facts or Facts(), "reactor": Clock()},
        )()
        tools.reactor.advance(time.time())
        case = Case(self.settings, self.settings.mailbox[0], None, tools)  # type: ignore[arg-type]  # D15 asks no cloud
        return self.successResultOf(Deferred.fromCoroutine(look_at_headroom(case)))

    def test_nobody_has_counted(self) -> None:
        """Then that is said, and no ledger is made."""
        seen = self.look()
        self.assertEqual((seen.result, seen.came_back[:9]), ("info", "not known"))
        self.assertFalse(self.ledger.exists())

    def test_the_service_is_stopped(self) -> None:
        """What was counted is still there, and what is not known is said."""
        self.told(2)
        seen = self.look()
        self.assertEqual(seen.result, "ok")
        for words in (
            "2 times too many connections (432) in 24 hours",
            "UTC only",
            "whether it is throttled now only the running service knows",
        ):
            self.assertIn(words, seen.came_back)

    def test_told_often(self) -> None:
        """The mailbox is named, and the rules that could go to another."""
        self.told(OFTEN)
        seen = self.look()
        assert seen.diagnosis is not None
        self.assertEqual((seen.result, seen.diagnosis.key), ("warn", "mailbox-often-throttled"))
        self.assertIn(f"said {OFTEN} times in 24 hours that {BOX}", seen.diagnosis.what)
        self.assertIn('login "fax" (see m365gw client show fax)', seen.diagnosis.fix)

    def test_throttled_now(self) -> None:
        """The running service says so, and why."""
        self.told(1)
        budget = {"connections": {"used": 1}}
        now = {"address": BOX.upper(), "state": "throttled", "why": "Too fast.", "budget": budget}
        seen = self.look(Facts(True, mailboxes=(now,)))
        assert seen.diagnosis is not None
        self.assertEqual(seen.diagnosis.key, "mailbox-throttled")
        self.assertEqual(seen.diagnosis.why, "Too fast.")
        self.assertNotIn("only the running service", seen.came_back)

    def test_a_ledger_that_cannot_be_read(self) -> None:
        """It is no failure of nobody's."""
        self.ledger.mkdir()
        seen = self.look()
        assert seen.diagnosis is not None
        self.assertEqual((seen.result, seen.diagnosis.key), ("warn", "ledger-unreadable"))
