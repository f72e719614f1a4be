"""What Microsoft sees of us: nothing it has to overlook, and nobody twice without a word."""

from __future__ import annotations

import smtplib
from collections import Counter

from tests.whole.stage import SENDER, WholeTestCase, await_

QUICK = '[queue]\nminimal_backoff_time = "1s"\nmaximal_backoff_time = "1s"\n'


class DialogueTests(WholeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.microsoft365 = self.microsoft("--no-limits")
        self.gate = self.gateway(self.microsoft365, QUICK)

    def submit(self, body: bytes, *recipients: str, sender: str = SENDER) -> str:
        """Hand in a message as plainly as old devices do, and give its queue id."""
        with smtplib.SMTP("127.0.0.1", self.gate.ports["trusted"]) as client:
            client.helo()
            client.mail(sender)
            for recipient in recipients or ("you@elsewhere.example",):
                client.rcpt(recipient)
            message = b"From: %s\r\nSubject: x\r\n\r\n%s\r\n" % (sender.encode(), body)
            code, text = client.data(message)
        self.assertEqual(code, 250)
        return text.decode().split()[-1]

    def test_nothing_to_complain_about(self) -> None:
        """8-bit content nobody declared, long bodies, many recipients: all as the RFCs want it."""
        self.submit("Grüße aus Köln".encode())
        self.submit(b"plain")
        self.submit(b"0123456789abcdef\r\n" * 20_000)
        self.submit(b"many", *(f"user{number}@elsewhere.example" for number in range(150)))
        await_(self.gate.is_drained, "the spool does not drain")
        received = self.microsoft365.messages()
        self.assertEqual(sum(len(each["recipients"]) for each in received), 153)
        self.assertEqual([each["complaints"] for each in received if each["complaints"]], [])

    def test_some_refused_and_the_answer_lost(self) -> None:
        """One recipient is unknown, one put off, then the answer to the dot is lost.

        The first is reported once, the second gets the message once, and who may have it already
        stands in the log as uncertain.
        """
        unknown, later, taken = (f"{who}@elsewhere.example" for who in ("no", "later", "taken"))
        self.microsoft365.fault(phase="rcpt", answer="unknown-recipient", match=unknown)
        self.microsoft365.fault(phase="rcpt", answer="450 4.2.0 later", match=later)
        self.microsoft365.fault(phase="dot", action="drop", record=True)
        qid = self.submit(b"Hello", unknown, later, taken)
        self.gate.wait_for("message.removed", qid=qid)
        await_(self.gate.is_drained, "the spool does not drain")
        arrived = Counter(
            recipient for each in self.microsoft365.messages() for recipient in each["recipients"]
        )
        self.assertEqual(arrived, {later: 1, taken: 2, SENDER: 1})
        said = {(each["to"], each["status"]) for each in self.gate.of("delivery", qid=qid)}
        self.assertEqual(
            said,
            {
                (unknown, "bounced"),
                (later, "deferred"),
                (later, "sent"),
                (taken, "uncertain"),
                (taken, "sent"),
            },
        )
