"""SIGTERM while Microsoft says nothing: the service ends all the same, and forgets nothing."""

from __future__ import annotations

import smtplib
from typing import Any

from tests.whole.stage import SENDER, WholeTestCase, await_

LIMITS = '[limits]\nshutdown_timeout = "1s"\n'
QUICK = '[queue]\nminimal_backoff_time = "1s"\nmaximal_backoff_time = "1s"\n'


class StopTests(WholeTestCase):
    def stopped_at(self, wait_for: str, **fault: Any) -> str:
        """Hand in a message, wait until a fault stalls it, and stop; gives its queue id."""
        self.microsoft365 = self.microsoft("--no-limits")
        self.gate = self.gateway(self.microsoft365, LIMITS + QUICK)
        self.microsoft365.fault(action="stall", **fault)
        with smtplib.SMTP("127.0.0.1", self.gate.ports["trusted"]) as client:
            client.ehlo()
            client.mail(SENDER)
            client.rcpt("you@elsewhere.example")
            _, text = client.data(f"From: {SENDER}\r\nSubject: Stop\r\n\r\nHello\r\n".encode())
        await_(lambda: any(wait_for in line for line in self.gate.lines), "it does not stall")
        self.assertEqual(self.gate.stop(), 0)
        self.gate.wait_for("service.stopped")
        return text.decode().split()[-1]

    def test_stalled_after_the_dot(self) -> None:
        """What Microsoft may have taken is known as uncertain and said so at the next start."""
        qid = self.stopped_at("with the final dot", phase="dot", record=True)
        self.gate.start()
        event = self.gate.wait_for("delivery", qid=qid)
        self.assertEqual(event["status"], "uncertain")
        self.gate.wait_for("message.removed", qid=qid)
        self.assertEqual(len(self.microsoft365.wait_for(2)), 2)

    def test_stalled_at_the_sign_in(self) -> None:
        """A session that never came to be leaves the message as it was; it goes at once then."""
        qid = self.stopped_at("AUTH XOAUTH2", phase="auth")
        self.gate.start()
        self.assertEqual(self.gate.wait_for("delivery", qid=qid)["status"], "sent")
        self.assertEqual(len(self.microsoft365.wait_for(1)), 1)

    def test_stalled_at_the_token(self) -> None:
        """A sign-in service that says nothing does not keep the service from ending."""
        qid = self.stopped_at("message.active", phase="token")
        self.gate.start()
        self.assertEqual(self.gate.wait_for("delivery", qid=qid)["status"], "sent")
        self.assertEqual(len(self.microsoft365.wait_for(1)), 1)
