"""A new configuration while mail flows: all of it or nothing, and no message is lost by it."""

from __future__ import annotations

import signal
import smtplib
import socket
import subprocess
import threading
from collections import Counter
from typing import Any

from m365gw.cli.control import ControlFailed
from tests.whole.stage import (
    CONFIGURATION,
    LOGIN,
    PASSWORD,
    SENDER,
    Gateway,
    Microsoft,
    WholeTestCase,
    await_,
)
from tests.whole.test_clients import unverified

CLIENT = CONFIGURATION[CONFIGURATION.index("[[client]]") : CONFIGURATION.index("[[network]]")]
MAILBOX = CONFIGURATION[CONFIGURATION.index("[[mailbox]]") : CONFIGURATION.index("[[client]]")]
OTHER = MAILBOX.replace("relay@", "alarm@")
ANOTHER_LISTENER = """
[[listener]]
name = "another"
endpoint = "tcp:0:interface=127.0.0.1"
networks = ["127.0.0.0/8"]
"""
RECIPIENT = "you@elsewhere.example"


class ReloadCase(WholeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.microsoft365: Microsoft = self.microsoft("--no-limits")
        self.gate: Gateway = self.gateway(self.microsoft365)
        self.text = self.gate.config.read_text()

    def reload(self, text: str) -> Any:
        """Reload with this configuration by the control socket; gives the answer."""
        self.gate.config.write_text(text)
        return self.gate.api.post("/reload")

    def send(self, number: int = 0, listener: str = "trusted") -> None:
        with smtplib.SMTP("127.0.0.1", self.gate.ports[listener]) as client:
            client.sendmail(SENDER, RECIPIENT, f"From: {SENDER}\r\nSubject: {number}\r\n\r\nHi\r\n")


class UnderLoadTests(ReloadCase):
    def test_no_message_is_lost_and_no_session_cut(self) -> None:
        """Reloads of every kind under load: every 250 arrives once, in sessions that go on."""
        is_over = threading.Event()
        sent: list[int] = []
        broken: list[Exception] = []

        def run(start: int) -> None:
            try:
                with smtplib.SMTP("127.0.0.1", self.gate.ports["trusted"]) as client:
                    number = start
                    while not is_over.is_set():
                        text = f"From: {SENDER}\r\nSubject: {number}\r\n\r\nHi\r\n"
                        client.sendmail(SENDER, RECIPIENT, text)
                        sent.append(number)
                        number += 10
            except Exception as error:  # told by the test, not by the thread
                broken.append(error)

        senders = [threading.Thread(target=run, args=(start,)) for start in range(10)]
        for sender in senders:
            sender.start()
        for number in range(10):
            await_(lambda wanted=30 * number: len(sent) >= wanted, "no mail goes in")  # type: ignore[misc]
            more = OTHER + ANOTHER_LISTENER if number % 2 else "[queue]\nqueue_run_delay = 10\n"
            # Not the pace: the governor lets a minute pass before a new one.
            figures = f"burst = 1000\nrecipients_per_message = {50 + number}"
            self.gate.config.write_text(self.text.replace("burst = 1000", figures) + more)
            heard = len(self.gate.events)
            self.gate.process.send_signal(signal.SIGHUP)
            self.gate.wait_for("service.reloaded", since=heard)
        is_over.set()
        for sender in senders:
            sender.join()
        self.assertEqual(broken, [])
        arrived = Counter(
            int(self.microsoft365.content(message["number"]).split(b"Subject: ")[1].split()[0])
            for message in self.microsoft365.wait_for(len(sent))
        )
        self.assertEqual(arrived, Counter(sent))


class RightsTests(ReloadCase):
    def test_a_removed_client_may_not_go_on(self) -> None:
        """In the middle of its session: at its next MAIL, and when it comes again."""
        with smtplib.SMTP("127.0.0.1", self.gate.ports["submission"]) as client:
            client.starttls(context=unverified())
            client.login(LOGIN, PASSWORD)
            self.assertEqual(client.mail(SENDER)[0], 250)
            said = self.reload(self.text.replace(CLIENT, ""))
            self.assertEqual(said["changed"], [f"client {LOGIN} removed"])
            self.assertEqual(client.rcpt(RECIPIENT)[0], 250)
            self.assertEqual(client.data(b"Subject: begun before\r\n\r\n")[0], 250)
            code, words = client.mail(SENDER)
            self.assertEqual((code, words[:5]), (550, b"5.7.1"))
        with smtplib.SMTP("127.0.0.1", self.gate.ports["submission"]) as client:
            client.starttls(context=unverified())
            with self.assertRaises(smtplib.SMTPAuthenticationError):
                client.login(LOGIN, PASSWORD)
        self.microsoft365.wait_for(1)


class FaultTests(ReloadCase):
    def test_a_fault_changes_nothing(self) -> None:
        """Each fault is told with its place, in the answer and in the log."""
        bad = self.text.replace('name = "smtps"', 'name = "changed"').replace("burst", "bursts")
        with self.assertRaises(ControlFailed) as raised:
            self.reload(bad.replace('flow = "secret"', 'flow = "secrets"'))
        self.assertEqual(raised.exception.status, 422)
        problems = raised.exception.answer["problems"]
        self.assertEqual(len(problems), 2)
        for problem, key in zip(problems, ("mailbox[0].flow", "governor.bursts"), strict=True):
            self.assertRegex(problem["place"], rf"m365gw\.toml:\d+  {key.replace('[', '.')[:7]}")
            self.gate.wait_for("service.problem", note=self._told(problem))
        heard = len(self.gate.events)
        self.gate.process.send_signal(signal.SIGHUP)
        self.gate.wait_for("service.not_reloaded", since=heard)
        names = [each["listener"] for each in self.gate.api.get("/status")["listeners"]]
        self.assertIn("smtps", names)
        self.send()
        self.microsoft365.wait_for(1)

    @staticmethod
    def _told(problem: dict[str, str]) -> str:
        fault = problem["fault"]
        end = "" if fault.endswith((".", "?")) else "."
        return f"{problem['place']}: {fault}{end} {problem['remedy']}".strip()

    def test_a_port_in_use(self) -> None:
        """Where one listener cannot be bound, none is, and no client is taken away."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            second = ANOTHER_LISTENER.replace("another", "taken").replace("tcp:0", f"tcp:{port}")
            with self.assertRaises(ControlFailed) as raised:
                self.reload(self.text.replace(CLIENT, "") + ANOTHER_LISTENER + second)
        self.assertIn('Listener "taken" cannot', raised.exception.answer["problems"][0]["fault"])
        self.assertEqual(len(self.gate.api.get("/status")["listeners"]), 3)
        with smtplib.SMTP("127.0.0.1", self.gate.ports["submission"]) as client:
            client.starttls(context=unverified())
            client.login(LOGIN, PASSWORD)

    def test_what_needs_a_restart(self) -> None:
        """It is told and stays; the rest applies."""
        text = self.text.replace('spool_dir = "spool"', 'spool_dir = "elsewhere"')
        said = self.reload(text + ANOTHER_LISTENER)
        told = {"changed": ["listener another added"], "needs_restart": ["spool_dir"]}
        self.assertEqual(said, told)
        self.assertFalse((self.gate.folder / "elsewhere").exists())


class ListenerTests(ReloadCase):
    def test_added_changed_and_removed(self) -> None:
        """New ones answer; changed ones keep their socket, and their sessions end."""
        heard = len(self.gate.events)
        self.reload(self.text + ANOTHER_LISTENER)
        event = self.gate.wait_for("listener.ready", since=heard, listener="another")
        port = int(event["address"].rpartition(":")[2])
        fixed = ANOTHER_LISTENER.replace("tcp:0", f"tcp:{port}")
        with self.assertRaises(ControlFailed):  # it is ours, but the system had chosen it
            self.reload(self.text + fixed)
        self.reload(self.text)
        self.reload(self.text + fixed)
        client = smtplib.SMTP("127.0.0.1", port)
        client.ehlo()
        self.reload(self.text + fixed.replace("networks", "#") + 'auth = "require"\n')
        self.assertEqual(client.getreply()[0], 421)
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.ehlo()
            self.assertEqual(client.mail(SENDER)[0], 530)
        self.reload(self.text)
        with self.assertRaises(ConnectionRefusedError):
            smtplib.SMTP("127.0.0.1", port)

    def test_certificate(self) -> None:
        """A certificate of another file is served from then on, also where TLS comes first."""
        files = self.folder / "new.crt", self.folder / "new.key"
        self.run_client(
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-subj", "/CN=new.example", "-keyout", files[1], "-out", files[0]),
        )
        tls = f'[tls]\ncertificate = "{files[0]}"\nkey = "{files[1]}"\n'
        self.assertEqual(
            self.reload(self.text + tls)["changed"], ["tls.certificate changed", "tls.key changed"]
        )
        for listener, options in {"smtps": (), "submission": ("-starttls", "smtp")}.items():
            self.assertRegex(
                self.subject(self.gate.ports[listener], *options), r"subject=CN ?= ?new\.example"
            )

    def subject(self, port: int, *options: str) -> str:
        said = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return said.stdout


class MailboxTests(ReloadCase):
    def test_a_removed_mailbox(self) -> None:
        """Its mail is kept, and said to be; it goes when the mailbox is back."""
        network = 'mailbox = "relay@contoso.example"\n\n[governor]'
        elsewhere = self.text.replace(network, network.replace("relay@", "alarm@"))
        self.reload(self.text + "[queue]\ndelivery = false\n")
        self.send()
        await_(lambda: not self.gate.hidden(), "the message does not become a file")
        without = elsewhere.replace(MAILBOX, OTHER).replace(CLIENT, "")
        self.assertEqual(
            self.reload(without)["changed"],
            [
                "mailbox relay@contoso.example removed",
                "mailbox alarm@contoso.example added",
                f"client {LOGIN} removed",
                "network 127.0.0.0/8 changed",
                "queue.delivery changed",
            ],
        )
        event = self.gate.wait_for("mailbox.removed", mailbox="relay@contoso.example")
        self.assertIn("(1 message waits)", event["note"])
        self.gate.wait_for("incident.opened", key="mailbox-missing")
        self.assertEqual(len(self.gate.spooled()), 1)
        self.reload(self.text)
        self.microsoft365.wait_for(1)

    def test_credentials_that_change(self) -> None:
        """A mailbox that could not sign in goes on with its new secret, without a restart."""
        secret = next(line for line in MAILBOX.splitlines() if line.startswith("client_secret"))
        self.reload(self.text.replace(secret, 'client_secret = "wrong"'))
        self.send()
        self.gate.wait_for("token.unavailable")
        said = self.reload(self.text)
        self.assertEqual(said["changed"], ["mailbox relay@contoso.example changed"])
        self.microsoft365.wait_for(1)
