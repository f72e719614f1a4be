"""Delivery reports of the real service, as they arrive at Microsoft."""

from __future__ import annotations

import email
import smtplib
from typing import Any

from tests.whole.stage import RELAY, SENDER, Gateway, Microsoft, WholeTestCase

SETTINGS = """
[queue]
minimal_backoff_time = "1s"
maximal_backoff_time = "1s"
queue_run_delay = "1s"
delay_warning_time = "2s"
"""
MAIL = f"From: {SENDER}\r\nSubject: Report\r\n\r\nGrüße\r\n".encode()
HOST = "elsewhere.example"
YOU = f"you@{HOST}"


class ReportTests(WholeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.microsoft365: Microsoft = self.microsoft("--no-limits")
        self.gate: Gateway = self.gateway(self.microsoft365, SETTINGS)

    def submit(self, *options: str, recipient: str = YOU, notify: str = "") -> str:
        """Hand in a message with RFC 3461's wishes and give its queue id."""
        with smtplib.SMTP("127.0.0.1", self.gate.ports["trusted"]) as client:
            client.ehlo()
            self.assertTrue(client.has_extn("dsn"))
            client.mail(SENDER, ["BODY=8BITMIME", *options])
            client.rcpt(recipient, [notify] if notify else [])
            code, text = client.data(MAIL)
        self.assertEqual(code, 250)
        return text.decode().split()[-1]

    def refuse(self, answer: str = "unknown-recipient", match: str = YOU) -> None:
        self.microsoft365.fault(phase="rcpt", answer=answer, times=0, match=match)

    def reports(self, count: int) -> list[tuple[dict[str, Any], bytes]]:
        """What Microsoft received, once there are so many messages."""
        received = self.microsoft365.wait_for(count)
        return [(one, self.microsoft365.content(one["number"])) for one in received]

    def test_a_failure_comes_back_as_was_asked(self) -> None:
        """From the mailbox to the sender, with ENVID and ORCPT; whole for RET=FULL only."""
        self.refuse()
        full = self.submit("RET=FULL", "ENVID=full", notify=f"ORCPT=rfc822;Y+2Bou@{HOST}")
        self.gate.wait_for("message.removed", qid=full)
        head = self.submit("RET=HDRS", "ENVID=head", notify="NOTIFY=FAILURE")
        self.gate.wait_for("message.removed", qid=head)
        self.submit("RET=FULL", "ENVID=none", notify="NOTIFY=NEVER")
        self.submit("RET=FULL", "ENVID=hush", notify="NOTIFY=SUCCESS,DELAY")
        self.submit("ENVID=last")
        found = {}
        for received, content in self.reports(3):
            self.assertEqual((received["sender"], received["recipients"]), (RELAY, [SENDER]))
            envid = content.split(b"Original-Envelope-Id: ")[1].split(b"\r\n")[0]
            found[envid] = content
        self.assertEqual(set(found), {b"full", b"head", b"last"})
        self.assertIn("Grüße".encode(), found[b"full"])
        self.assertIn(f"Original-Recipient: rfc822; Y+ou@{HOST}\r\n".encode(), found[b"full"])
        self.assertNotIn("Grüße".encode(), found[b"head"])
        report = email.message_from_bytes(found[b"head"])
        self.assertEqual(report.get_content_type(), "multipart/report")
        kinds = [part.get_content_type() for part in report.get_payload()]
        self.assertEqual(kinds, ["text/plain", "message/delivery-status", "text/rfc822-headers"])
        of_message, of_recipient = report.get_payload()[1].get_payload()
        self.assertEqual(of_message["Reporting-MTA"], "dns; gateway.contoso.example")
        self.assertEqual(of_recipient["Final-Recipient"], f"rfc822; {YOU}")
        self.assertEqual((of_recipient["Action"], of_recipient["Status"]), ("failed", "5.1.10"))

    def test_wishes_are_passed_on_to_a_server_that_takes_them(self) -> None:
        """Microsoft offers DSN: it gets them all, and nothing is said here."""
        qid = self.submit("RET=HDRS", "ENVID=mine", notify="NOTIFY=SUCCESS,FAILURE")
        self.gate.wait_for("message.removed", qid=qid)
        ((received, _),) = self.reports(1)
        self.assertIn("RET=HDRS", received["mail_parameters"])
        self.assertIn("ENVID=mine", received["mail_parameters"])
        self.assertEqual(received["rcpt_parameters"], [["NOTIFY=SUCCESS,FAILURE"]])
        self.assertEqual(self.gate.of("message.report"), [])

    def test_a_delay_is_told_once(self) -> None:
        """After delay_warning_time, while it is still tried; also after a kill -9."""
        self.refuse("451 4.3.0 later")
        qid = self.submit()
        self.gate.wait_for("message.report", qid=qid)
        ((received, content),) = self.reports(1)
        self.assertEqual(received["recipients"], [SENDER])
        for expected in (b"Action: delayed", b"Will-Retry-Until: ", b"You need not send it again"):
            self.assertIn(expected, content)
        self.gate.kill()
        heard = len(self.gate.events)
        self.gate.start()
        for _ in range(4):
            heard = (
                self.gate.events.index(
                    self.gate.wait_for("delivery", since=heard, qid=qid, status="deferred"), heard
                )
                + 1
            )
        self.assertEqual(len(self.microsoft365.messages()), 1)

    def test_what_bounces_for_ever_ends(self) -> None:
        """Microsoft refuses every recipient, reports too: the report is held, and nothing moves."""
        self.refuse(match="*")
        qid = self.submit()
        self.gate.wait_for("message.removed", qid=qid)
        held = self.gate.wait_for("message.held")
        self.assertNotEqual(held["qid"], qid)
        self.assertIn("It is a report", held["note"])
        self.assertEqual(len(self.gate.of("message.report")), 1)
        self.assertEqual(self.microsoft365.messages(), [])
