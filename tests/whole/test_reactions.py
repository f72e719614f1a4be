"""Microsoft says no, in all the ways it does, and nothing is bounced that should not be."""

from __future__ import annotations

import smtplib
from typing import Any

from tests.whole.stage import BIN, RELAY, SENDER, Gateway, Microsoft, WholeTestCase, await_

QUICK = '[queue]\nminimal_backoff_time = "1s"\nmaximal_backoff_time = "1s"\n'


class ReactionTests(WholeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.microsoft365: Microsoft = self.microsoft("--no-limits")
        self.gate: Gateway = self.gateway(self.microsoft365, QUICK)
        self.seen = 0  # messages that Microsoft has received

    def submit(self, *recipients: str, sender: str = SENDER, body: str = "Hello\r\n") -> str:
        """Hand in a message and give its queue id."""
        with smtplib.SMTP("127.0.0.1", self.gate.ports["trusted"]) as client:
            client.ehlo()
            client.mail(sender)
            for recipient in recipients or ("you@elsewhere.example",):
                client.rcpt(recipient)
            message = f"From: {sender}\r\nSubject: Reaction\r\n\r\n{body}"
            code, text = client.data(message.encode())
        self.assertEqual(code, 250)
        return text.decode().split()[-1]

    def assert_kept(self, qid: str, status: str, *words: str) -> dict[str, Any]:
        """The message stays, or is sent later, is not bounced, and the log line explains it."""
        event = self.gate.wait_for("delivery", qid=qid)
        self.assertEqual(event["status"], status)
        for word in words:
            self.assertIn(word, event["note"])
        await_(lambda: self.is_kept(qid), "it is in the spool no more, and was not sent")
        self.assertEqual(self.gate.of("message.report"), [])
        self.assertEqual(self.gate.of("delivery", status="bounced"), [])
        return event

    def is_kept(self, qid: str) -> bool:
        """Whether it is in the spool, or has been sent since: a second may be over."""
        is_here = any(qid in path.name for path in self.gate.spooled())
        return is_here or bool(self.gate.of("delivery", qid=qid, status="sent"))

    def assert_drains(self, qid: str, count: int = 1) -> None:
        """The message arrives after all, so many times, and its file is gone."""
        self.gate.wait_for("message.removed", qid=qid)
        self.seen += count
        self.assertEqual(len(self.microsoft365.wait_for(self.seen)), self.seen)

    def test_what_passes_by_itself(self) -> None:
        """One after the other, each with mail that arrives once it is over."""
        for step in (
            self.a_refused_token_is_renewed_once,
            self.too_many_connections,
            self.drop_before_the_dot,
            self.drop_after_the_dot,
            self.an_unknown_recipient_is_bounced_with_a_report,
        ):
            step()

    def a_refused_token_is_renewed_once(self) -> None:
        """One 535 5.7.3 costs a new token and nothing else."""
        self.microsoft365.fault(phase="auth", answer="auth-failed")
        qid = self.submit()
        self.assert_drains(qid)
        self.assertEqual(len(self.gate.of("token.acquired")), 2)

    def too_many_connections(self) -> None:
        """432 means fewer connections and another try soon."""
        self.microsoft365.fault(phase="dot", answer="concurrent")
        qid = self.submit()
        self.assert_kept(qid, "deferred", "432 4.3.2")
        self.assert_drains(qid)

    def drop_before_the_dot(self) -> None:
        """A connection cut while the message goes out: tried again, arrives once."""
        self.microsoft365.fault(phase="content", action="drop", after=10_000)
        # More than sockets hold: its end must still be here when the connection is cut.
        qid = self.submit(body="0123456789abcdef\r\n" * 800_000)
        self.assert_kept(qid, "deferred")
        self.assert_drains(qid)

    def drop_after_the_dot(self) -> None:
        """A connection cut after the dot is uncertain, said so, and tried again by policy."""
        self.microsoft365.fault(phase="dot", action="drop", record=True)
        qid = self.submit()
        self.assert_kept(qid, "uncertain")
        self.assert_drains(qid, count=2)

    def an_unknown_recipient_is_bounced_with_a_report(self) -> None:
        """550 5.1.10 is final: the sender gets a report that says why; the others their mail."""
        self.microsoft365.fault(phase="rcpt", answer="unknown-recipient", times=0, match="nobody@*")
        qid = self.submit("nobody@elsewhere.example", "you@elsewhere.example")
        self.gate.wait_for("delivery", qid=qid, status="sent")
        bounced = self.gate.wait_for("delivery", qid=qid, status="bounced")
        self.assertEqual(bounced["to"], "nobody@elsewhere.example")
        received = self.microsoft365.wait_for(self.seen + 2)[self.seen :]
        (report,) = [each for each in received if each["recipients"] == [SENDER]]
        self.assertEqual(report["sender"], RELAY)
        text = self.microsoft365.content(report["number"]).decode()
        self.assertIn("report-type=delivery-status", text.replace('"', ""))
        self.assertIn("nobody@elsewhere.example", text)
        self.assertIn("5.1.10", text)
        await_(self.gate.is_drained, "the spool does not drain")

    def test_a_mailbox_that_may_not_sign_in_is_held(self) -> None:
        """535 5.7.3 again and again holds the mailbox, opens one incident, bounces nothing."""
        self.microsoft365.fault(phase="auth", answer="auth-failed", times=0)
        qid = self.submit()
        self.submit()
        self.assert_kept(qid, "held")
        incident = self.gate.wait_for("incident.opened")
        self.assertIn(RELAY, str(incident))
        self.assertEqual(len(self.gate.of("incident.opened")), 1)

    def test_smtp_auth_switched_off(self) -> None:
        """535 5.7.139: the log says which switch, and the PowerShell line that turns it."""
        self.microsoft365.fault(phase="auth", answer="disabled-mailbox", times=0)
        self.assert_kept(self.submit(), "held")
        incident = self.gate.wait_for("incident.opened")
        self.assertIn("Set-CASMailbox", str(incident))

    def test_server_busy(self) -> None:
        """451 4.7.500 stops the host for a while; the message waits."""
        self.microsoft365.fault(phase="dot", answer="server-busy", times=0)
        self.assert_kept(self.submit(), "deferred", "451 4.7.500")

    def test_quota(self) -> None:
        """A 554 that is a quota stops the mailbox and bounces nothing."""
        self.microsoft365.fault(phase="dot", answer="quota", times=0)
        self.assert_kept(self.submit(), "deferred", "SubmissionQuotaExceeded")

    def test_send_as_denied(self) -> None:
        """550 5.7.60 holds that sender on that mailbox; others go on."""
        self.microsoft365.fault(phase="mail", answer="send-as", times=0, match=SENDER)
        held = self.submit()
        self.assert_kept(held, "held", "550 5.7.60")
        self.assert_drains(self.submit(sender="alerts@contoso.example"))

    def test_revoked_consent(self) -> None:
        """Entra refuses the app: held, with what is wrong and who mends it, nothing bounced."""
        self.microsoft365.fault(phase="token", aadsts=7000222, status=401, times=0)
        self.assert_kept(self.submit(), "held", "client secret has expired")
        self.gate.wait_for("incident.opened")

    def test_entra_is_down(self) -> None:
        """503 and a page of HTML from Entra is a blip: tried again, delivered."""
        self.microsoft365.fault(phase="token", status=503, body="<html>busy</html>", times=0)
        self.assert_kept(self.submit(), "deferred")

    def test_an_unknown_5xx_is_not_final_the_first_time(self) -> None:
        """What nobody knows is tried again before it is believed."""
        self.microsoft365.fault(phase="dot", answer="550 5.9.9 The moon is in the wrong phase")
        qid = self.submit()
        self.assert_kept(qid, "deferred", "wrong phase")

    def test_microsoft_is_away(self) -> None:
        """Nobody listens: mail is taken all the same, and waits."""
        self.microsoft365.fault(phase="connect", action="drop", times=0)
        qid = self.submit()
        self.assert_kept(qid, "deferred")
        listing = self.run_client(BIN / "m365gw", "--config", self.gate.config, "queue", "list")
        self.assertIn(qid, listing)
