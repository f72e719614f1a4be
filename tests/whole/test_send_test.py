"""Test mails of the operator, and mailboxes that are paused, resumed and retried."""

from __future__ import annotations

import json

from tests.whole.stage import RELAY, WholeTestCase, await_


class SendTestTests(WholeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.microsoft365 = self.microsoft("--no-limits")
        self.gate = self.gateway(self.microsoft365)

    def test_followed_to_its_end(self) -> None:
        """Each step is shown, up to Microsoft's own id; what arrives is what was said."""
        done = self.gate.command("send-test", "--to", "you@elsewhere.example")
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        steps = [line.split()[1] for line in done.stdout.splitlines()[:-1]]
        self.assertEqual(steps, ["accepted", "token", "sent"])
        (received,) = self.microsoft365.wait_for(1)
        self.assertEqual(
            (received["sender"], received["recipients"]), (RELAY, ["you@elsewhere.example"])
        )
        done = self.gate.command("send-test", "--json")
        said = json.loads(done.stdout)
        self.assertEqual(
            (done.returncode, said["outcome"], said["recipients"]), (0, "sent", [RELAY])
        )
        self.assertTrue(said["steps"][-1]["microsoft_id"])
        self.assertIn(said["message_id"].encode(), self.microsoft365.content(2))

    def test_what_is_wrong_is_said(self) -> None:
        """The diagnosis with what to do, and exit code 1; mended, a retry sends what waited."""
        self.microsoft365.fault(phase="token", aadsts=7000222, times=0)
        done = self.gate.command("send-test")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("To do (an Entra administrator of the tenant)", done.stdout)
        self.assertIn("m365gw queue remove", done.stdout)
        listed = self.gate.command("queue", "list").stdout
        self.assertIn("has expired. (no access token: secret-expired)", listed)
        self.microsoft365.mend()
        self.assertEqual(self.gate.command("mailbox", "retry", RELAY).returncode, 0)
        self.microsoft365.wait_for(1)

    def test_pause_and_resume(self) -> None:
        """Nothing leaves while it is paused, over restarts, also if that was said meanwhile."""
        done = self.gate.command("mailbox", "pause", RELAY, "--why", "until Monday, ask Ann")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        done = self.gate.command("send-test")
        self.assertEqual(done.returncode, 1)
        self.assertIn("until Monday, ask Ann", done.stdout)
        self.gate.stop()
        done = self.gate.command("mailbox", "pause", RELAY, "--why", "until Tuesday")
        self.assertIn("from its next start on", done.stderr)
        self.assertIn(f"{RELAY} is paused: 1 waiting.", done.stdout)
        self.gate.start()
        done = self.gate.command("mailbox", "list")
        self.assertRegex(done.stdout, rf"(?m)^{RELAY} +paused .* 1 ")
        self.assertIn("until Tuesday", done.stdout)
        self.assertEqual(self.gate.command("mailbox", "retry", RELAY).returncode, 0)
        self.assertEqual(self.microsoft365.messages(), [])
        self.gate.stop()
        self.assertEqual(self.gate.command("mailbox", "resume", RELAY).returncode, 0)
        self.gate.start()
        self.microsoft365.wait_for(1)
        await_(self.gate.is_drained, "it is not removed")
