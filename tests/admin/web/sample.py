"""A gateway after a day of mail and its troubles: what the pictures of the pages show, and what the
checks of every page walk over. Served by the code that serves the pages everywhere, from a spool
and a directory in a folder.
"""

from __future__ import annotations

import math
import random
import tempfile
import time
from datetime import UTC, datetime
from typing import Any

from attrs import asdict, evolve

from m365gw.admin.web.mailbox_sign_in import Shown
from m365gw.admin.web.set_up import NOBODY
from m365gw.alerts.alerts import Trial
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
from tests.admin.web.browser import HASH, Stage, mailbox

DAY = 86_400
APP = "3f1c9a52-0d7e-4b61-9a64-5f0e6a1b2c3d"

FULL = Reply(452, "4.2.2", "Mailbox full")
DENIED = Reply(550, "5.7.60", "SMTP; Client does not have permissions to send as this sender")
CLOSED = Reply(
    535,
    "5.7.139",
    "Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.",
)
TAKEN = Reply(250, "2.0.0", "OK <0d1f@relay.contoso.com> [Hostname=VI1PR08MB.example]")


def staged(folder: str) -> Stage:
    """The gateway; it is now, and it runs since yesterday."""
    web = Web(endpoint="tcp:8025:interface=127.0.0.1", public_url="http://localhost:8025")
    stage = Stage(folder, web, now=time.time() - DAY - 1_800)
    stage.operators.add("anna", HASH, "operator", "m365gw operator add")
    _flow(stage)
    _mailboxes(stage)
    _queue(stage)
    _clients(stage)
    _made(stage)
    _incidents(stage)
    return stage


def _clients(stage: Stage) -> None:
    """Logins and networks, and what one of them did lately."""
    app: dict[str, Any] = {"tenant": "contoso.com", "client_id": APP}
    boxes = [
        Mailbox(address="relay@contoso.com", flow="certificate", **app),
        Mailbox(address="scanner@contoso.com", flow="web", **app),
        Mailbox(address="erp@contoso.com", flow="secret", **app),
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
    stage.listening += [("relay", "10.1.0.2:25"), ("smtps", "0.0.0.0:465")]
    registry, by = stage.registry.registry, "console: anna"
    for login, senders, label in (
        ("printer3", ["scan@contoso.com", "*@devices.contoso.com"], "floor 3"),
        ("monitor", ["alarm@contoso.com"], "zabbix"),
        ("shop", ["web@contoso.com", "noreply@contoso.com"], "web shop"),
    ):
        password = {"hash": passwords.generate()[1], "label": label, "created": "2026-11-02"}
        values = {"login": login, "senders": senders, "mailbox": boxes[0].address}
        registry.add_client({**values, "password": [password]}, by)
    more = {"hash": passwords.generate()[1], "label": "its successor", "created": "2026-11-20"}
    registry.set_password("printer3", more | {"expires": "2027-12-31"}, by)
    for cidr in ("10.1.2.0/24", "192.0.2.0/28"):
        rule = {"senders": ["*@contoso.com"], "mailbox": boxes[0].address}
        registry.add_network({"cidr": cidr, **rule}, by)
    told = {"client": "unknown[10.1.0.7]", "sasl_username": "printer3", "from_": "fax@contoso.com"}
    note = '553 5.7.1 login "printer3" may not send as <fax@contoso.com>.'
    for _ in range(3):
        stage.log.emit("message.refused", "smtpd", "NOQUEUE", level="warn", note=note, **told)
        stage.clock.advance(40)
    nobody = {"client": "unknown[10.1.2.31]", "from_": "ups@fabrikam.example"}
    note = "553 5.7.1 network 10.1.2.0/24 may not send as <ups@fabrikam.example>."
    stage.log.emit("message.refused", "smtpd", "NOQUEUE", level="warn", note=note, **nobody)
    stage.log.emit("service.problem", "master", level="error", note="the disk is nearly full")
    stage.desk.api_tokens.add("backup-job", "viewer", by)
    stage.operators.add("vera", HASH, "viewer", by)


def _made(stage: Stage) -> None:
    """What somebody has made in the console."""
    fax = {"address": "fax@contoso.com", "tenant": "contoso.com", "client_id": NOBODY}
    certificate = new_certificate("m365gw fax@contoso.com").decode()
    person = {**fax, "address": "alerts@contoso.com", "client_id": APP}
    registry = stage.registry.registry
    listeners: list[dict[str, Any]] = [
        {"name": "smtps", "endpoint": "tcp:465", "tls": "implicit"},
        {"name": "scanners", "endpoint": "tcp:2525", "networks": ["10.1.9.0/24"]},
    ]
    settings = {"hostname": "relay.contoso.com", "queue.delay_warning_time": "4h"}
    registry.arrange(settings, listeners, "anna")
    registry.add_mailbox({**fax, "flow": "certificate", "certificate": certificate}, "anna")
    registry.add_mailbox({**person, "flow": "device"}, "anna")
    stage.mailboxes += [
        mailbox("fax@contoso.com", state="paused", why="anna: no app yet", budget=_budget(0, 0, 0))
    ]
    stage.mailboxes += [mailbox("alerts@contoso.com", budget=_budget(0, 1, 96))]
    uri, until = "https://microsoft.com/devicelogin", stage.clock.seconds() + 880
    code = Shown("waiting", "anna", "FJC-WHR-TKP", uri, until)
    stage.mailbox_sign_ins._shown["alerts@contoso.com"] = code
    pair = self_signed(tempfile.mkdtemp(), "relay.contoso.com", datetime.now(UTC))
    loaded = load(pair)
    kept = Pair("/var/lib/m365gw/tls/self-signed.crt", "/var/lib/m365gw/tls/self-signed.key")
    stage.certificates.append(evolve(loaded, pair=kept))


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
    _examined(stage, told)


def _incidents(stage: Stage) -> None:
    """One open, one over, and what will end."""
    told = diagnose(CLOSED).about(mailbox="erp@contoso.com", tenant="contoso.com")
    full = diagnose(FULL).about(mailbox="relay@contoso.com")
    now, desk = stage.clock.seconds(), stage.incident_desk
    names = subject_of({"mailbox": "erp@contoso.com"}), subject_of({"mailbox": "relay@contoso.com"})
    stage.incidents[:] = [
        Incident(id="5f1c2d9a", told=told, level="error", subject=names[0], opened_at=now - 1500)
    ]
    over = Incident(id="0badcafe", told=full, subject=names[1], opened_at=now - 2 * DAY)
    desk.past.append(evolve(over, closed_at=now - 2 * DAY + 5_400))
    for kind, name, days, warned in (
        ("secret", "erp@contoso.com", 6.5, 7),
        ("sign-in", "scanner@contoso.com", 84, None),
        ("certificate", "relay@contoso.com", 612, None),
    ):
        end = {"kind": kind, "name": name, "ends_at": now + days * DAY, "warned": warned}
        desk.ends.append({**end, "note": ""})
    hook = Trial("webhook https://hooks.example.com/...", True, "answered 200")
    desk.trials += [hook, Trial("mail ops@contoso.com", False, "no mailbox may send now")]


def _end(stage: Stage, kind: str, days: float, certainty: str) -> dict[str, Any]:
    ends_at = stage.clock.seconds() + days * DAY
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
        told: dict[str, Any] = {
            "client": "10.1.4.20",
            "login": "erp-prod",
            "mailbox": "erp@contoso.com",
        }
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


def followed(stage: Stage) -> dict[str, Any]:
    """What is told of a test mail that Microsoft took."""
    steps = [
        ("accepted", "kept in the spool as 4Q7BX2K9M3PDW", ""),
        ("token", "got a token of Entra, good for 59 minutes", ""),
        ("sent", f"to you@example.com by smtp.office365.com: {TAKEN}", "<0d1f@relay.contoso.com>"),
    ]
    at = stage.clock.seconds() - 3
    told = [
        {"at": at + place, "step": step, "words": words, "microsoft_id": microsoft_id}
        for place, (step, words, microsoft_id) in enumerate(steps)
    ]
    return {"steps": told, "outcome": "sent", "mailbox": {"address": "relay@contoso.com"}}


def talk(stage: Stage) -> None:
    """A printer hands in a message, and it goes to Microsoft: as a trace shows it."""
    known = {"client": "10.1.0.7", "listener": "submission", "login": "printer3"}
    device = stage.log.tracing.begin("in", "10.1.0.7:51022", **known)
    for speaker, text in (
        ("*", "connected"),
        ("S", "220 relay.contoso.com ESMTP"),
        ("C", "EHLO printer3.contoso.com"),
        ("C", "AUTH PLAIN [not shown]"),
        ("S", "235 2.7.0 Authentication successful"),
        ("C", "MAIL FROM:<scan@contoso.com>"),
        ("S", "250 2.1.0 Ok"),
    ):
        device.say(speaker, text)
    line = stage.log.tracing.begin("out", "smtp.office365.com", mailbox="relay@contoso.com")
    line.say("C", "MAIL FROM:<scan@contoso.com> SIZE=20144")
    line.say("S", "250 2.1.0 Sender OK")
