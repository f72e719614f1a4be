"""A rehearsal Microsoft that can be broken, and a doctor with tools a test can replace."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from m365gw.config.settings import CustomCloud, Listener, Mailbox, Network, Settings
from m365gw.doctor.doctor import Doctor
from m365gw.doctor.equipment import equip
from m365gw.doctor.finding import Finding
from m365gw.doctor.lookups import Answer, Lookup
from m365gw.doctor.report import Report
from m365gw.doctor.tools import Facts
from m365gw.events import EventLog
from m365gw.rehearsal.tenant import APP_ID, APP_SECRET
from m365gw.relay.threads import Threads
from tests.rehearsal.running import RehearsalCase

RELAY = "relay@contoso.example"
SCANNER = "scanner@contoso.example"


async def no_dns(name: str, kind: str) -> Answer:
    """A DNS that knows nothing; nothing leaves this machine."""
    return Answer()


class DoctorCase(RehearsalCase):
    """Each test breaks something and looks at what the doctor says of it."""

    def setUp(self) -> Deferred[None]:
        folder = Path(self.mktemp()).absolute()
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True)
        self.folder = folder
        self.threads = Threads(reactor, 4, "doctor", may_be_left=True)
        self.log = io.StringIO()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.threads.stop()))
        self.facts = Facts()
        self.cloud: dict[str, Any] = {}
        self.mailbox: dict[str, Any] = {}
        self.settings: dict[str, Any] = {}
        self.tools: dict[str, Any] = {"ask_dns": no_dns}
        return super().setUp()

    def made(self) -> Settings:
        """The configuration of a gateway that uses the rehearsal, with a test's changes."""
        rehearsal = self.rehearsal
        cloud = {
            "smtp": f"127.0.0.1:{rehearsal.smtp_port}",
            "authority": f"https://127.0.0.1:{rehearsal.https_port}/TENANT",
            "ca_file": str(rehearsal.certificates.authority.absolute()),
            "rehearsal": True,
        }
        mailbox = {
            "address": RELAY,
            "flow": "secret",
            "tenant": "contoso.example",
            "client_id": APP_ID,
            "client_secret": APP_SECRET,
            "cloud": "rehearsal",
        }
        settings = {
            "hostname": "gateway.contoso.example",
            "state_dir": str(self.folder / "state"),
            "spool_dir": str(self.folder / "spool"),
            "listener": (Listener(name="in", endpoint="tcp:0", networks=("10.0.0.0/8",)),),
            "network": (Network(cidr="10.0.0.0/8", senders=(SCANNER,), mailbox=RELAY),),
            "mailbox": (Mailbox(**{**mailbox, **self.mailbox}),),
            "cloud": {"rehearsal": CustomCloud(**{**cloud, **self.cloud})},
        }
        return Settings(**{**settings, **self.settings})

    async def examine(self, *, send: bool = False) -> Report:
        """One examination."""
        settings = self.made()
        log = EventLog(self.log, hostname="gateway", level="debug")
        tools = equip(settings, reactor, self.threads, log, facts=lambda: self.facts)
        changed: Any = attrs.evolve(tools, **self.tools)
        return await Doctor(changed).examine(settings, send=send)

    async def findings(self, *, send: bool = False) -> dict[str, Finding]:
        """All findings by their ids."""
        report = await self.examine(send=send)
        ((_, found),) = report.mailboxes
        return {finding.id: finding for finding in (*report.gateway, *found)}

    def assert_fails(
        self, found: dict[str, Finding], check: str, key: str, *skipped: str
    ) -> Finding:
        """This check alone failed, for this cause, and these were skipped for it."""
        failed = [one.id for one in found.values() if one.result == "fail"]
        self.assertEqual(failed, [check])
        diagnosis = found[check].seen.diagnosis
        assert diagnosis is not None
        self.assertEqual(diagnosis.key, key)
        because = [
            one.id
            for one in found.values()
            if one.seen.skipped_because == f"skipped because {check} failed"
        ]
        self.assertEqual(because, sorted(skipped))
        return found[check]


def resolving(**hosts: Lookup) -> dict[str, Callable[[str], Awaitable[Lookup]]]:
    """Tools with a resolver that answers so; "_" stands for the dots of a name."""
    named = {name.replace("_", "."): lookup for name, lookup in hosts.items()}

    async def resolve(host: str) -> Lookup:
        return named[host]

    return {"resolve": resolve}


settle = partial(Deferred.fromCoroutine)
