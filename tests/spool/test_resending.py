"""Sending once more what has failed: to those alone, as a message of its own."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome, Verdict
from m365gw.spool.names import Entry, State
from m365gw.spool.resending import NothingFailed, copy_for_failed
from m365gw.spool.spool import Spool


class ResendingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = str(Path(self.mktemp()).absolute())
        self.spool = Spool.open(self.path, hostname="gw")
        self.addCleanup(self.spool.close)
        recipients = (Recipient("a@x.example"), Recipient("b@x.example", orcpt="rfc822;b"))
        draft = self.spool.draft(Envelope("s@x.example", recipients), Origin("10.1.0.7"))
        draft.write(b"Subject: x\r\n\r\nHello\r\n")
        draft.finish()
        (entry,) = self.spool.commit([draft])
        assert isinstance(entry, Entry)
        self.entry = entry

    def settled(self, *outcomes: Outcome) -> None:
        message = self.spool.claim(self.entry)
        reply = Reply(550, "5.1.1", "no")
        verdicts = [Verdict(place, outcome, reply) for place, outcome in enumerate(outcomes)]
        self.spool.settle(message, verdicts, 1.0)
        message.close()

    def test_a_copy_for_those_that_failed(self) -> None:
        """With the same octets and origin, held, and from a spool opened to be looked at only."""
        self.settled(Outcome.DELIVERED, Outcome.FAILED)
        looking = Spool.open(self.path, hostname="gw", read_only=True)
        self.addCleanup(looking.close)
        made = copy_for_failed(looking, self.entry)
        self.assertEqual(made.state, State.HOLD)
        self.assertNotEqual(made.id, self.entry.id)
        copy = self.spool.claim(made)
        self.addCleanup(copy.close)
        self.assertEqual(copy.envelope.recipients, (Recipient("b@x.example", orcpt="rfc822;b"),))
        self.assertEqual(copy.read(0, 100), b"Subject: x\r\n\r\nHello\r\n")
        self.assertIn(self.entry.queue_id, copy.reason)
        self.assertIsNotNone(self.spool.find(self.entry.queue_id))

    def test_nobody_failed(self) -> None:
        """Then there is nothing to send, and nothing is made."""
        self.settled(Outcome.DELIVERED, Outcome.PENDING)
        self.assertRaises(NothingFailed, copy_for_failed, self.spool, self.entry)
        self.assertEqual([each.id for each in self.spool.entries()], [self.entry.id])
