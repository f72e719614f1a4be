"""The commands that ask the running service, draining, and what signals do."""

from __future__ import annotations

import json
import signal
import smtplib

from tests.whole.stage import PATIENCE, SENDER, Gateway, Microsoft, WholeTestCase, await_

LIMITS = '[limits]\nshutdown_timeout = "2s"\n'
RECIPIENT = "you@elsewhere.example"


class ControlCase(WholeTestCase):
    more = LIMITS

    def setUp(self) -> None:
        super().setUp()
        self.microsoft365: Microsoft = self.microsoft("--no-limits")
        self.gate: Gateway = self.gateway(self.microsoft365, self.more)

    def send(self) -> None:
        with smtplib.SMTP("127.0.0.1", self.gate.ports["trusted"]) as client:
            client.sendmail(SENDER, RECIPIENT, f"From: {SENDER}\r\nSubject: x\r\n\r\nHi\r\n")

    def stall(self) -> None:
        """A message is on its way, and Microsoft says nothing to its final dot."""
        self.microsoft365.fault(action="stall", phase="dot")
        self.send()
        await_(lambda: any("final dot" in line for line in self.gate.lines), "it does not stall")

    def assert_ends_in_order(self) -> None:
        """Although Microsoft will never answer; within what a failure is given."""
        self.assertEqual(self.gate.process.wait(PATIENCE), 0)
        self.gate.wait_for("service.stopped")
        self.assertEqual([e for e in self.gate.of("program") if e["level"] == "error"], [])


class CommandTests(ControlCase):
    def test_status_and_healthcheck(self) -> None:
        """What runs is shown; what does not run is said with an exit code of its own."""
        done = self.gate.command("status")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for words in ("gateway.contoso.example", "trusted", "relay@contoso.example  ready"):
            self.assertIn(words, done.stdout)
        said = json.loads(self.gate.command("status", "--json").stdout)
        self.assertEqual(said["status"]["pid"], self.gate.process.pid)
        self.assertEqual(said["mailboxes"][0]["state"], "ready")
        done = self.gate.command("healthcheck")
        self.assertEqual((done.returncode, done.stdout), (0, "good\n"))
        self.gate.stop()
        self.assertEqual(self.gate.command("status").returncode, 69)
        done = self.gate.command("healthcheck")
        self.assertEqual(done.returncode, 1)
        self.assertIn("The service is not running", done.stdout)

    def test_a_mailbox_that_needs_somebody(self) -> None:
        """It is shown with what to do, and the exit code says that there is something to do."""
        text = self.gate.config.read_text()
        secret = next(line for line in text.splitlines() if line.startswith("client_secret"))
        self.gate.config.write_text(text.replace(secret, 'client_secret = "wrong"'))
        self.gate.command("reload")
        self.send()
        self.gate.wait_for("incident.opened")
        done = self.gate.command("status")
        self.assertEqual(done.returncode, 1)
        self.assertIn("To do (whoever runs this gateway): ", done.stdout)

    def test_reload(self) -> None:
        """What changed is told; a mistake is told with its place and changes nothing."""
        text = self.gate.config.read_text()
        self.assertEqual(self.gate.command("reload").stdout, "Nothing has changed.\n")
        self.gate.config.write_text(text.replace('"debug"', '"info"'))
        self.assertEqual(self.gate.command("reload").stdout, "log.level changed\n")
        self.gate.config.write_text(text.replace('"debug"', '"loud"'))
        done = self.gate.command("reload")
        self.assertEqual(done.returncode, 78)
        self.assertRegex(done.stderr, r"m365gw\.toml:\d+  log\.level")
        self.assertIn("goes on with the configuration it has", done.stderr)


class DrainTests(ControlCase):
    more = LIMITS + "[queue]\ndelivery = false\n"

    def test_what_is_due_goes(self) -> None:
        """Nobody can hand in mail any more, what waits is sent, and the service ends."""
        for _ in range(5):
            self.send()
        text = self.gate.config.read_text()
        self.gate.config.write_text(text.replace("delivery = false", "delivery = true"))
        self.gate.command("reload")
        done = self.gate.command("drain", "--wait")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("The service has stopped.", done.stdout)
        self.assert_ends_in_order()
        self.assertEqual(len(self.microsoft365.messages()), 5)
        self.assertEqual(self.gate.spooled(), [])


class StalledTests(ControlCase):
    def test_drain_within_its_bound(self) -> None:
        """What does not go in time stays, and the service ends all the same."""
        self.stall()
        self.assertEqual(self.gate.command("drain", "--seconds", "1").returncode, 0)
        with self.assertRaises(ConnectionRefusedError):
            smtplib.SMTP("127.0.0.1", self.gate.ports["trusted"])
        self.assert_ends_in_order()
        self.assertEqual(len(self.gate.spooled()), 1)

    def test_sigterm_while_it_drains(self) -> None:
        """The stop has its own bound, and need not wait for the drain's."""
        self.stall()
        self.gate.command("drain", "--seconds", "3600")
        self.gate.process.send_signal(signal.SIGTERM)
        self.assert_ends_in_order()

    def test_signals_while_it_stops(self) -> None:
        """A second SIGTERM and a SIGHUP are said to be heard, and change nothing."""
        self.stall()
        self.gate.process.send_signal(signal.SIGTERM)
        self.gate.wait_for("service.stopping", note="no more mail is taken")
        self.gate.process.send_signal(signal.SIGTERM)
        self.gate.wait_for("service.stopping", note="it is stopping already")
        self.gate.process.send_signal(signal.SIGHUP)
        self.gate.wait_for("service.not_reloaded")
        self.assert_ends_in_order()
        self.assertEqual(len(self.gate.spooled()), 1)
