"""Pictures of the console for the documentation: light and dark, on a desk and on a phone.

    python -m docs.screenshots [overview queue message login picked bulk dialog missing]

The pages are served by the code that serves them everywhere, from a spool in a temporary folder; a
day of mail and its troubles are put before it. Needs Chromium, and what the tests need.
"""

from __future__ import annotations

import math
import random
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import asdict
from playwright.sync_api import BrowserContext, sync_playwright
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from m365gw.admin.web.mailbox_sign_in import Shown
from m365gw.admin.web.set_up import NOBODY
from m365gw.config.settings import Client, Listener, Mailbox, Settings
from m365gw.config.web import Web
from m365gw.directory import passwords
from m365gw.directory.certificates import new_certificate
from m365gw.doctor.finding import Finding, bad, good, skipped
from m365gw.edge.listening.self_signed import self_signed
from m365gw.edge.listening.tls_terms import Pair, load
from m365gw.incidents import Incident, subject_of
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import remedy_for
from m365gw.microsoft.replies import diagnose
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome, Verdict
from m365gw.spool import operations
from m365gw.spool.operations import Action
from tests.admin.web.browser import HASH, PASSWORD, Stage, mailbox
from tests.whole.test_console import CHROMIUM, FLAGS

ALWAYS = (
    "overview",
    "queue",
    "message",
    "mailboxes",
    "mailbox",
    "incidents",
    "doctor",
    "clients",
    "client",
    "rules",
    "log",
)  # kept in the repository; others when they are named
PICTURES = Path(__file__).parent / "pictures"
SIZES = {"desktop": (1280, 860, 1), "phone": (390, 844, 1)}
THEMES = ("light", "dark")

FULL = Reply(452, "4.2.2", "Mailbox full")
DENIED = Reply(550, "5.7.60", "SMTP; Client does not have permissions to send as this sender")
CLOSED = Reply(
    535,
    "5.7.139",
    "Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.",
)
TAKEN = Reply(250, "2.0.0", "OK <0d1f@relay.contoso.com> [Hostname=VI1PR08MB.example]")


def staged(folder: str) -> Stage:
    """A gateway after a day of mail."""
    stage = Stage(folder, Web(endpoint="tcp:8025:interface=127.0.0.1"))
    stage.operators.add("anna", HASH, "operator", "pictures")
    _flow(stage)
    _mailboxes(stage)
    _queue(stage)
    _clients(stage)
    _made(stage)
    return stage


def _clients(stage: Stage) -> None:
    """Logins and networks, and what one of them did lately."""
    boxes = [
        Mailbox(address=address, flow="device", tenant="contoso.com", client_id="0" * 8)
        for address in ("relay@contoso.com", "scanner@contoso.com", "erp@contoso.com")
    ]
    trusted = Listener(name="relay", endpoint="tcp:25", networks=("10.1.0.0/16",))
    submission = Listener(name="submission", endpoint="tcp:587")
    _, stored = passwords.generate()
    file = Client(
        login="erp-prod",
        password_hash=stored,
        senders=("*@erp.contoso.com",),
        mailbox=boxes[2].address,
    )
    stage.registry.configured = Settings(
        hostname="gw.example.com",
        mailbox=tuple(boxes),
        client=(file,),
        listener=(submission, trusted),
    )
    registry, by = stage.registry.registry, "console: anna"
    for login, senders, label in (
        ("printer3", ["scan@contoso.com", "*@devices.contoso.com"], "floor 3"),
        ("monitor", ["alarm@contoso.com"], "zabbix"),
        ("shop", ["web@contoso.com", "noreply@contoso.com"], "web shop"),
    ):
        password = {"hash": passwords.generate()[1], "label": label, "created": "2026-11-02"}
        values = {"login": login, "senders": senders, "mailbox": boxes[0].address}
        registry.add_client({**values, "password": [password]}, by)
    more = {"hash": passwords.generate()[1], "label": "new device", "expires": "2027-12-31"}
    registry.set_password("printer3", more, by)
    for cidr in ("10.1.2.0/24", "192.0.2.0/28"):
        rule = {"senders": ["*@contoso.com"], "mailbox": boxes[0].address}
        registry.add_network({"cidr": cidr, **rule}, by)
    told = {"client": "unknown[10.1.0.7]", "sasl_username": "printer3", "from_": "fax@contoso.com"}
    note = '553 5.7.1 login "printer3" may not send as <fax@contoso.com>.'
    for _ in range(3):
        stage.log.emit("message.refused", "smtpd", "NOQUEUE", level="warn", note=note, **told)
        stage.clock.advance(40)
    stage.log.emit("service.problem", "master", level="error", note="the disk is nearly full")
    stage.desk.api_tokens.add("backup-job", "viewer", by)
    stage.operators.add("vera", HASH, "viewer", by)


def _made(stage: Stage) -> None:
    """What somebody has made in the console."""
    mailbox = {"address": "fax@contoso.com", "tenant": "contoso.com", "client_id": NOBODY}
    certificate = new_certificate("m365gw fax@contoso.com").decode()
    person = {**mailbox, "address": "alerts@contoso.com", "client_id": "c0ffee00-1"}
    registry = stage.registry.registry
    listeners = [
        {"name": "smtps", "endpoint": "tcp:465", "tls": "implicit"},
        {"name": "scanners", "endpoint": "tcp:2525", "networks": ["10.1.9.0/24"]},
    ]
    settings = {"hostname": "relay.contoso.com", "queue.delay_warning_time": "4h"}
    registry.arrange(settings, listeners, "anna")
    registry.add_mailbox({**mailbox, "flow": "certificate", "certificate": certificate}, "anna")
    registry.add_mailbox({**person, "flow": "device"}, "anna")
    uri, until = "https://microsoft.com/devicelogin", stage.clock.seconds() + 880
    code = Shown("waiting", "anna", "FJC-WHR-TKP", uri, until)
    stage.mailbox_sign_ins._shown["alerts@contoso.com"] = code
    pair = Pair(*self_signed(tempfile.mkdtemp(), "relay.contoso.com", datetime.now(UTC)))
    stage.certificates.append(load(pair))


def _flow(stage: Stage) -> None:
    """Twenty-four hours: quiet at night, busy before noon, and one hour of trouble."""
    chance = random.Random(7)
    for minute in range(24 * 60 + 5):
        hour = (minute / 60 + 10) % 24
        busy = 14 * math.exp(-((hour - 10.5) ** 2) / 9) + 9 * math.exp(-((hour - 15) ** 2) / 5)
        count = round(max(0, chance.gauss(busy + 0.8, 1.4)))
        is_trouble = 220 < minute < 265
        for _ in range(count):
            stage.metrics.heard("message.queued", "", "", {"size": 20_000})
            status = "deferred" if is_trouble and chance.random() < 0.6 else "sent"
            stage.metrics.heard("delivery", "", "", {"status": status})
            if chance.random() < 0.004:
                stage.metrics.heard("delivery", "", "", {"status": "bounced"})
        stage.clock.advance(60)


def _mailboxes(stage: Stage) -> None:
    told = diagnose(CLOSED).about(mailbox="erp@contoso.com", tenant="contoso.com")
    stage.mailboxes[:] = [
        mailbox(
            "relay@contoso.com",
            waits=6,
            budget=_budget(1, 22, 3_412),
            flow="certificate",
            credentials=[_end(stage, "certificate", 612, "known")],
        ),
        mailbox(
            "scanner@contoso.com",
            waits=2,
            budget=_budget(0, 4, 818),
            flow="web",
            credentials=[_end(stage, "sign-in", 84, "hint")],
        ),
        mailbox(
            "erp@contoso.com",
            state="needs_admin",
            since=stage.clock.seconds() - 1500,
            diagnosis=asdict(told),
            credentials=[_end(stage, "secret", 6.5, "stated")],
            waits=3,
            why=f"{told.what} {told.why}",
            budget=_budget(0, 0, 9_604),
        ),
    ]
    stage.incidents[:] = [
        Incident(
            id="5f1c2d9a",
            told=told,
            level="error",
            subject=subject_of({"mailbox": "erp@contoso.com"}),
            opened_at=stage.clock.seconds() - 1500,
        )
    ]
    _examined(stage, told)


def _end(stage: Stage, kind: str, days: float, certainty: str) -> dict[str, Any]:
    ends_at = stage.clock.seconds() + days * 86400
    return {"kind": kind, "ends_at": ends_at, "certainty": certainty}


def _examined(stage: Stage, told: Diagnosis) -> None:
    """The doctor has looked at one mailbox."""
    book, address = stage.rounds.book, "erp@contoso.com"
    stage.rounds.mailboxes[:] = [each["address"] for each in stage.mailboxes]
    book.begin(("", address), "anna", stage.clock.seconds() - 240)
    steps = remedy_for(told, {"mailbox": address, "tenant": "contoso.com"})
    for name, check, title, seen in (
        ("", "D01", "files, folders and disk of the gateway", good("", "812 GB are free")),
        (address, "D07", "token of Entra", good("", "good for 3599 s")),
        (address, "D09", "sign-in at Exchange Online", bad("AUTH", str(CLOSED), told, steps)),
        (address, "D10", "senders at MAIL FROM", skipped("skipped because D09 failed")),
    ):
        book.hear(name, Finding(check, title, seen).plain())
    book.end(("", address), stage.rounds.mailboxes)


def _budget(connections: int, minute: int, day: int) -> dict[str, Any]:
    limits = {"connections": (connections, 2.0), "minute": (minute, 30.0), "day": (day, 10_000.0)}
    uses = {name: {"used": used, "limit": limit} for name, (used, limit) in limits.items()}
    return {**uses, "tenant_day": None}


def _queue(stage: Stage) -> None:
    for number in range(3):
        told = {"client": "10.1.4.20", "login": "erp-prod", "mailbox": "erp@contoso.com"}
        stage.message(f"billing{number + 1}@fabrikam.example", sender="erp@contoso.com", **told)
        stage.clock.advance(180)
    entry = stage.message(
        "anna.berg@contoso.com",
        "archive@contoso.com",
        "tom@northwind.example",
        sender="scan@contoso.com",
        header=b"From: Scanner 3 <scan@contoso.com>\r\nTo: anna.berg@contoso.com\r\n"
        b"Subject: Scan from floor 3 <script>alert(1)</script>\r\n"
        b"Message-ID: <4711@printer3.contoso.com>\r\n",
        client="10.1.0.7",
        port=51_022,
        login="printer3",
        helo="printer3.contoso.com",
        listener="submission",
        protocol="ESMTPSA",
        tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
    )
    _attempt(stage, entry, [(0, TAKEN, "sent"), (1, FULL, "deferred"), (2, FULL, "deferred")])
    for sender, client in (("alarm@contoso.com", "monitor"), ("web@contoso.com", "shop")):
        told = {"login": client, "mailbox": "relay@contoso.com"}
        denied = stage.message("ops@contoso.com", sender=sender, **told)
        _attempt(stage, denied, [(0, DENIED, "deferred")])
    held = stage.message("everybody@contoso.com", sender="hr@contoso.com", login="hr-app")
    operations.act_on(stage.spool, Action.HOLD, [held.queue_id], "wait for the board (anna)")
    for number in range(4):
        stage.message(f"user{number}@contoso.com", sender="scan@contoso.com", login="printer7")
        stage.clock.advance(7)


def _attempt(stage: Stage, entry: Any, outcomes: list[tuple[int, Reply, str]]) -> None:
    """One attempt, as delivery notes and logs it."""
    outcome = {"sent": Outcome.DELIVERED, "deferred": Outcome.PENDING}
    message = stage.spool.claim(entry)
    stage.log.emit(
        "message.queued",
        "smtpd",
        entry.queue_id,
        client=f"unknown[{message.origin.client}]",
        sasl_username=message.origin.login,
        helo=message.origin.helo,
        size=entry.size,
        nrcpt=len(message.recipients),
    )
    stage.clock.advance(2)
    stage.log.emit("message.active", "qmgr", entry.queue_id, note="queue active")
    verdicts = [Verdict(place, outcome[status], reply) for place, reply, status in outcomes]
    stage.spool.settle(message, verdicts, stage.clock.seconds())
    for place, reply, status in outcomes:
        stage.log.emit(
            "delivery",
            "smtp",
            entry.queue_id,
            to_=message.recipients[place].recipient.address,
            relay="smtp.office365.com[52.98.1.2]:587",
            delay="2.4",
            status=status,
            note=str(reply),
        )
    stage.spool.defer(message, int(stage.clock.seconds()) + 280)
    stage.clock.advance(40)


def _pages(stage: Stage) -> Iterator[tuple[str, str]]:
    waiting = [each for each in stage.spool.entries() if each.attempts]
    yield "overview", "/"
    yield "queue", "/queue"
    yield "message", f"/queue/{min(waiting, key=lambda each: each.id).queue_id}"
    yield "mailboxes", "/mailboxes"
    yield "mailbox", "/mailboxes/erp@contoso.com"
    yield "mailbox-form", "/mailboxes/add?flow=secret"
    yield "sign-in", "/mailboxes/scanner@contoso.com/sign-in"
    yield "incidents", "/incidents"
    yield "incident", "/incidents/5f1c2d9a"
    yield "doctor", "/doctor"
    yield "test", "/test"
    yield "clients", "/clients"
    yield "client", "/clients/printer3"
    yield "client-form", "/clients/printer3/change"
    yield "networks", "/networks"
    yield "rules", "/rules?from=fax@contoso.com&to=you@example.com&login=printer3"
    for name in ("log", "trace", "operators", "account", "audit", "backup"):
        yield name, f"/{name}"
    yield "missing", "/nothing"
    yield "listeners", "/listeners"
    yield "listener", "/listeners/add"
    yield "tls", "/tls"
    yield "settings", "/settings?tab=queue"
    for name in ("entrance", "mailbox", "tenant", "senders", "test", "done"):
        yield f"setup-{name}", f"/setup/{name}"
    yield "setup-code", "/setup/tenant?mailbox=alerts@contoso.com"


def _pictures(stage: Stage, address: str, wanted: list[str]) -> None:
    """In a thread: take them all."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for theme in THEMES:
            for size, (width, height, scale) in SIZES.items():
                context = browser.new_context(
                    color_scheme=theme,
                    viewport={"width": width, "height": height},
                    device_scale_factor=scale,
                )
                _of_one(context, stage, address, f"{theme}-{size}", wanted)
                context.close()
        browser.close()


def _of_one(
    context: BrowserContext, stage: Stage, address: str, kind: str, wanted: list[str]
) -> None:
    page = context.new_page()

    def take(name: str, *, whole: bool = True) -> None:
        if name in (wanted or ALWAYS):
            path = PICTURES / f"console-{name}-{kind}.png"
            page.screenshot(path=path, full_page=whole)

    page.goto(f"{address}/login")
    take("login")
    page.fill("[name=login]", "anna")
    page.fill("[name=password]", PASSWORD)
    page.click("button.primary")
    page.wait_for_selector("#live[data-state=on]")
    for name, path in _pages(stage):
        page.goto(address + path)
        page.wait_for_selector("#live[data-state=on]")
        take(name)
    page.goto(f"{address}/queue?state=waiting")
    page.check("tbody tr:nth-child(1) input")
    page.check("tbody tr:nth-child(2) input")
    take("picked", whole=False)
    page.click(".bulk button[value=bounce]")
    page.wait_for_selector(".sample")
    take("bulk")
    page.goto(address + dict(_pages(stage))["message"])
    page.click("[data-opens=d-remove]")
    take("dialog", whole=False)


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        stage = staged(f"{folder}/gateway")
        port = reactor.listenTCP(0, stage.site, interface="127.0.0.1")
        address = f"http://127.0.0.1:{port.getHost().port}"
        done = deferToThread(_pictures, stage, address, sys.argv[1:])
        done.addErrback(lambda failure: failure.printTraceback())
        done.addBoth(lambda _: reactor.stop())
        reactor.run()
        stage.close()


if __name__ == "__main__":
    main()
