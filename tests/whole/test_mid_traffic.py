"""Each kind of mailbox is revoked, expired, blocked, throttled, renamed or deleted while mail
flows: nothing is lost, one incident each is opened and closed and told to people, and what is
mended drains without a restart; a crash in the middle changes nothing of it."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import smtplib
import sqlite3
import subprocess
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from unittest import mock

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from m365gw.rehearsal.certificates import app_certificate
from m365gw.rehearsal.tenant import IDENTITY_ID, PUBLIC_APP_ID
from tests.whole.stage import (
    BIN,
    PASSWORD,
    PASSWORD_HASH,
    Gateway,
    Microsoft,
    WholeTestCase,
    await_,
)

DOMAIN = "contoso.example"
SECRET = f"by-secret@{DOMAIN}"  # its client secret expires
CERTIFICATE = f"by-certificate@{DOMAIN}"  # its certificate is taken out of the app
DEVICE = f"by-device@{DOMAIN}"  # its sign-in is revoked
DISABLED = f"disabled@{DOMAIN}"  # its user's sign-in is blocked
SPAM = f"blocked@{DOMAIN}"  # Microsoft restricts it
QUOTA = f"quota@{DOMAIN}"  # Microsoft throttles it
GONE = f"gone@{DOMAIN}"  # it is deleted, and restored
WEB = f"by-web@{DOMAIN}"  # its sign-in is revoked, too
FEDERATED = f"by-federation@{DOMAIN}"  # its federated credential is taken out of the app
IDENTITY = f"by-identity@{DOMAIN}"  # the identity of the host loses its right on the mailbox
GRAPH = f"by-graph@{DOMAIN}"  # its app loses the permission for Graph
PERSON_BY_GRAPH = f"person-by-graph@{DOMAIN}"  # Graph throttles it
RENAMED = f"renamed@{DOMAIN}"  # it gets another address
WELL = f"well@{DOMAIN}"  # nothing happens to it; alerts leave by it
BROKEN = (
    SECRET, CERTIFICATE, DEVICE, DISABLED, SPAM, QUOTA, GONE,
    WEB, FEDERATED, IDENTITY, GRAPH, PERSON_BY_GRAPH, RENAMED,
)  # fmt: skip
PEOPLE = (DEVICE, DISABLED, WEB, PERSON_BY_GRAPH)  # somebody signs in for them
SIGNED_OUT = (DEVICE, WEB)
BY_GRAPH = (GRAPH, PERSON_BY_GRAPH)
NEW_NAME = f"new-name@{DOMAIN}"
ALL = (*BROKEN, WELL)
EACH = 4  # messages of each mailbox before it breaks, and again while it is broken

VALUE = "hush~hush~value"
SIGNING = "webhook~signing~value"
OPS = "ops@elsewhere.example"
YOU = "you@elsewhere.example"
GRAPH_QUOTA = {"status": 429, "error": "ErrorSubmissionQuotaExceeded"}

# What each comes to: its state, and the key of its incident.
KEYS = {
    SECRET: ("needs_admin", "secret-expired"),
    CERTIFICATE: ("needs_admin", "certificate-unknown"),
    DEVICE: ("needs_signin", "signin-revoked"),
    DISABLED: ("needs_admin", "account-disabled"),
    SPAM: ("needs_admin", "mailbox-restricted"),
    QUOTA: ("throttled", "mailbox-quota"),
    GONE: ("needs_admin", "auth-unsuccessful"),
    WEB: ("needs_signin", "signin-revoked"),
    FEDERATED: ("needs_admin", "federation-unknown"),
    IDENTITY: ("needs_admin", "auth-unsuccessful"),
    GRAPH: ("needs_admin", "graph-access-denied"),
    PERSON_BY_GRAPH: ("throttled", "graph-mailbox-quota"),
    RENAMED: ("needs_admin", "auth-unsuccessful"),
}

HEAD = """\
hostname = "gateway.contoso.example"
state_dir = "state"
spool_dir = "spool"

[[listener]]
name = "devices"
endpoint = "tcp:0:interface=127.0.0.1"
tls = "none"
quirks = ["plaintext-auth"]

[governor]
messages_per_minute = 1000000
burst = 1000
messages_per_connection = 1

[log]
format = "json"
level = "debug"

[alerts]
mail_to = ["%s"]
mail_from = "%s"

[[alerts.webhook]]
url = "http://127.0.0.1:%d/secret-path"
secret = "%s"
loopback = true

"""
MAILBOX = """\
[[mailbox]]
address = "%s"
flow = "%s"
tenant = "contoso.example"
client_id = "%s"
cloud = "rehearsal"
%s

[[client]]
login = "%s"
password_hash = "%s"
senders = ["*"]
mailbox = "%s"

"""


def app_id(box: str) -> str:
    """Each has an app of its own, but those of people."""
    if box in PEOPLE:
        return PUBLIC_APP_ID
    if box == IDENTITY:
        return IDENTITY_ID
    return f"00000000-0000-4000-8000-{ALL.index(box):012x}"


class Receiver:
    """A receiver of news that checks each signature, and takes what it has already only once."""

    def __init__(self) -> None:
        self.news: list[dict[str, Any]] = []
        self.forged = 0
        self.is_away = False
        taken: set[str] = set()
        receiver = self

        class Pages(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                signed = self.headers["X-M365GW-Timestamp"].encode() + b"." + body
                wanted = hmac.new(SIGNING.encode(), signed, hashlib.sha256).hexdigest()
                receiver.forged += self.headers["X-M365GW-Signature"] != f"v1={wanted}"
                if not receiver.is_away and self.headers["X-M365GW-Delivery"] not in taken:
                    taken.add(self.headers["X-M365GW-Delivery"])
                    receiver.news.append(json.loads(body))
                self.send_response(503 if receiver.is_away else 204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on the terminal of the tests."""

        self.server = HTTPServer(("127.0.0.1", 0), Pages)
        self.thread = Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def of(self, box: str) -> list[str]:
        """The news of a mailbox, in the order it came."""
        about = [one for one in self.news if one["incident"]["subject"].get("mailbox") == box]
        return [one["event"] for one in about]


class MidTrafficTests(WholeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.receiver = Receiver()
        self.addCleanup(self.receiver.stop)
        self.microsoft365: Microsoft = self.microsoft("--no-limits")
        home = self.folder / "gateway"
        home.mkdir()
        key, certificate = app_certificate("m365gw")
        self.certificate = certificate.decode()
        (home / "app.pem").write_bytes(key + certificate)
        (home / "app.pem").chmod(0o600)
        self.federate(home / "token")
        # Where a virtual machine of Azure asks for its tokens.
        host = f"http://127.0.0.1:{self.microsoft365.ports['control']}"
        azure = mock.patch.dict(os.environ, {"AZURE_POD_IDENTITY_AUTHORITY_HOST": host})
        azure.start()
        self.addCleanup(azure.stop)
        self.sent: list[str] = []  # subjects
        self.mend()
        head = HEAD % (OPS, WELL, self.receiver.server.server_port, SIGNING)
        configuration = head + "".join(map(mailbox, ALL))
        self.gate: Gateway = self.gateway(self.microsoft365, configuration=configuration)
        for box in PEOPLE:
            self.sign_in(box)

    def federate(self, file: Path) -> None:
        """An OIDC issuer that the app trusts, and a token of it for the gateway."""
        private, certificate = app_certificate("issuer")
        key = x509.load_pem_x509_certificate(certificate).public_key()
        public = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.trusted = {"issuer": "https://oidc.example", "subject": "relay", "key": public}
        now = int(time.time())
        claims = {"iss": self.trusted["issuer"], "sub": "relay", "nbf": now, "exp": now + 3600}
        claims["aud"] = "api://AzureADTokenExchange"
        file.write_text(jwt.encode(claims, private, "RS256"))

    def mend(self) -> None:
        """All is as it should be at Microsoft."""
        apps = {
            app_id(box): {
                "secrets": [{"value": VALUE}],
                "certificates": [self.certificate],
                "mailboxes": [box],
                "federations": [self.trusted],
                "roles": ["SMTP.SendAsApp", "Mail.Send"],
                "managed": "user" if box == IDENTITY else "",
            }
            for box in ALL
            if box not in PEOPLE
        }
        well = {"blocked": False, "licensed": True, "send_as": ["*@devices.example"]}
        users = {box: {"enabled": True} for box in PEOPLE}
        orders = {
            "tenant": {"device_interval": 1.0},
            "apps": apps,
            "mailboxes": dict.fromkeys(ALL, well),
            "users": users,
        }
        self.microsoft365.ask("switches", orders)
        self.microsoft365.mend()

    def break_all(self) -> None:
        """Each in its own way; tokens that were given out are worth nothing any more."""
        expired = {"secrets": [{"value": VALUE, "ends": 1.0}]}
        orders = {
            "apps": {
                app_id(SECRET): expired,
                app_id(CERTIFICATE): {"certificates": []},
                app_id(FEDERATED): {"federations": []},
                app_id(IDENTITY): {"mailboxes": []},
                app_id(GRAPH): {"roles": []},
            },
            "mailboxes": {SPAM: {"blocked": True}, GONE: {"licensed": False}},
            "users": {DISABLED: {"enabled": False}},
        }
        self.microsoft365.ask("switches", orders)
        self.microsoft365.fault(phase="dot", answer="quota", match=QUOTA, times=0)
        self.microsoft365.fault(phase="graph", match=PERSON_BY_GRAPH, times=0, **GRAPH_QUOTA)
        self.microsoft365.ask("rename", {"mailbox": RENAMED, "to": NEW_NAME})
        for box in SIGNED_OUT:
            self.microsoft365.ask("revoke", {"sessions": box})
        apps = (SECRET, CERTIFICATE, FEDERATED, IDENTITY, GRAPH)
        for name in (*map(app_id, apps), *SIGNED_OUT, DISABLED):
            self.microsoft365.ask("revoke", {"access": name})

    def submit(self) -> None:
        """Every device hands in its mail, in turns."""
        clients = {}
        for box in ALL:
            clients[box] = smtplib.SMTP("127.0.0.1", self.gate.ports["devices"])
            clients[box].login(box, PASSWORD)
        for _ in range(EACH):
            for box, client in clients.items():
                sender, subject = "erp@devices.example", f"number {len(self.sent)} of {box}"
                header = f"From: {sender}\r\nTo: {YOU}\r\nSubject: {subject}\r\n"
                client.sendmail(sender, [YOU], f"{header}\r\nHello\r\n")
                self.sent.append(subject)
        for client in clients.values():
            client.quit()

    def sign_in(self, box: str) -> None:
        """`m365gw mailbox signin`, with a person at the other end."""
        words = ["--config", str(self.gate.config), "mailbox", "signin", "--device", box]
        command = subprocess.Popen(
            [str(BIN / "m365gw"), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert command.stdout is not None
        said = ""
        for line in command.stdout:
            said += line
            if match := re.search(r"enter the code\s+(\S+)", line):
                self.microsoft365.ask("device", {"user_code": match.group(1), "user": box})
        self.assertEqual(command.wait(), 0, said)

    def spoil_configuration(self) -> None:
        """A reload is refused; before the next start somebody has put the file right."""
        good = self.gate.config.read_text()
        self.gate.config.write_text(good + "[queue]\nno_such_key = 1\n")
        self.assertEqual(self.gate.command("reload").returncode, 78)
        opened = self.gate.wait_for("incident.opened", key="configuration-rejected")
        self.assertIn("no_such_key", opened["why"])
        await_(lambda: self.kept() > len(BROKEN), "the incident is not kept")
        self.gate.config.write_text(good)

    def kept(self) -> int:
        """How many incidents the database holds."""
        with sqlite3.connect(self.gate.folder / "state" / "state.db") as database:
            return int(database.execute("SELECT count(*) FROM incidents").fetchone()[0])

    def opened(self) -> Counter[str]:
        about = (event.get("mailbox") for event in self.gate.of("incident.opened"))
        return Counter(filter(None, about))

    def wait_until_drained(self) -> None:
        """An operator who has mended something says so, until all is gone."""

        def is_empty() -> bool:
            self.gate.api.post("/queue/flush", {"mailbox": ""})
            return self.gate.is_drained()

        await_(is_empty, "what was mended does not drain")

    def test_whatever_happens_to_them(self) -> None:
        """Broken while mail flows, a crash, mended: all arrives, and people are told once each,
        also those who could not be told before the crash."""
        self.submit()
        self.receiver.is_away = True
        self.break_all()
        self.submit()
        for box in BROKEN:
            self.gate.wait_for("incident.opened", mailbox=box)
        self.assert_shown()
        self.spoil_configuration()
        self.gate.kill()
        self.assertEqual(self.receiver.news, [])
        self.receiver.is_away = False
        self.gate.start()
        self.gate.wait_for("incident.closed", key="configuration-rejected")
        self.assert_known_after_a_restart()

        self.microsoft365.ask("rename", {"mailbox": NEW_NAME, "to": RENAMED})
        self.mend()
        for box in SIGNED_OUT:
            self.sign_in(box)
        self.wait_until_drained()
        for box in BROKEN:
            self.gate.wait_for("incident.closed", mailbox=box)
        self.assert_all_arrived()
        self.assert_told_once()
        tried = self.gate.command("incident", "test")
        self.assertEqual((tried.returncode, tried.stdout.count("ok      ")), (0, 2), tried.stdout)
        self.assert_history()

    def assert_shown(self) -> None:
        """Status, mailboxes, the queue and the list of incidents say why, and what to do."""
        shown = {one["address"]: one for one in self.gate.api.get("/mailboxes")}
        self.assertEqual(shown[WELL]["state"], "ready")
        for box in BROKEN:
            told = shown[box]["diagnosis"]
            self.assertEqual((shown[box]["state"], told["key"]), KEYS[box])
        status = self.gate.command("status").stdout
        listed = self.gate.command("queue", "list").stdout
        incidents = self.gate.command("incident", "list")
        self.assertEqual(incidents.returncode, 1)
        for box in BROKEN:
            told = shown[box]["diagnosis"]
            for words in (told["what"], told["fix"]):
                self.assertIn(words, status)
            self.assertIn(told["what"], listed)
            self.assertIn(box, incidents.stdout)

        ends = {
            (one["kind"], one["name"]) for one in self.gate.api.get("/credentials")["credentials"]
        }
        wanted = {("certificate", CERTIFICATE), ("secret", SECRET), ("sign-in", DEVICE)}
        self.assertLessEqual(wanted, ends)

    def assert_known_after_a_restart(self) -> None:
        """What was open is open, and nothing is opened again."""
        open_ones = self.gate.api.get("/incidents")["incidents"]
        about = sorted(one["subject"]["mailbox"] for one in open_ones)
        self.assertEqual(about, sorted(BROKEN))
        self.assertEqual(self.opened(), dict.fromkeys(BROKEN, 1))

    def assert_all_arrived(self) -> None:
        """Each message once, none returned; and the mail to those who look after it."""
        self.gate.wait_for("alert.mailed")
        await_(lambda: self.mailed() != "", "no mail about the incidents")
        received = self.microsoft365.messages()
        subjects = [self.subject(one["number"]) for one in received if one["recipients"] != [OPS]]
        self.assertEqual(Counter(subjects), dict.fromkeys(self.sent, 1))
        self.assertEqual(self.gate.of("message.report"), [])
        self.assertEqual(self.gate.of("delivery", status="bounced"), [])

    def subject(self, number: int) -> str:
        content = self.microsoft365.content(number).decode()
        return content.partition("Subject: ")[2].partition("\r\n")[0]

    def mailed(self) -> str:
        """The first mail to those who look after it."""
        for one in self.microsoft365.messages():
            if one["recipients"] == [OPS]:
                self.assertEqual(one["mailbox"], WELL)
                return self.microsoft365.content(one["number"]).decode()
        return ""

    def assert_told_once(self) -> None:
        """The receiver has heard of each, its beginning before its end, and all was genuine."""
        for box in BROKEN:
            await_(lambda box=box: len(self.receiver.of(box)) >= 2, f"nothing is told of {box}")
            self.assertEqual(self.receiver.of(box), ["incident.opened", "incident.closed"])
        self.assertEqual(self.receiver.forged, 0)
        self.assertEqual(self.opened(), dict.fromkeys(BROKEN, 1))
        self.assertNotIn("secret-path", "".join(self.gate.lines))
        self.assertNotIn(SIGNING, "".join(self.gate.lines))

    def assert_history(self) -> None:
        """The list is kept when the service has stopped."""
        self.gate.stop()
        listed = self.gate.command("incident", "list", "--all", "--json")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        found = [json.loads(line) for line in listed.stdout.splitlines()]
        about = [one["subject"].get("mailbox", "") for one in found]
        self.assertEqual(sorted(filter(None, about)), sorted(BROKEN))
        shown = self.gate.command("incident", "show", found[0]["id"])
        self.assertIn(found[0]["what"], shown.stdout)


def mailbox(box: str) -> str:
    """The configuration of one, and of the device that sends by it."""
    flow, credential = "secret", f'client_secret = "{VALUE}"'
    if box in PEOPLE:
        flow, credential = "web" if box == WEB else "device", ""
    elif box == CERTIFICATE:
        flow, credential = "certificate", 'certificate_file = "app.pem"'
    elif box == FEDERATED:
        flow, credential = "federated", 'federated_token_file = "token"'
    elif box == IDENTITY:
        flow, credential = "managed-identity", ""
    if box in BY_GRAPH:
        credential += '\nexit = "graph"'
    return MAILBOX % (box, flow, app_id(box), credential, box, PASSWORD_HASH, box)
