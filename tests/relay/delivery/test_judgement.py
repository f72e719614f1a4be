"""Judgements that need no queue; the rest is told by deliveries."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Queue
from m365gw.relay.delivery.recovery import REPORTS
from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.spool.names import Entry
from tests.relay.stage import APP, BOX, GENEROUS, Stage, refuse

DAY = 86400.0


class JudgeTests(SynchronousTestCase):
    """What findings mean."""

    def test_432_for_many_recipients_teaches_once(self) -> None:
        """One refusal of a transaction to many halves the connections once, not for each."""
        stage = Stage(self, limits=evolve(GENEROUS, connections=8))
        stage.pool.script = [refuse(432, "4.3.2", "Concurrent connections limit exceeded")]
        stage.send(*(f"r{number}@example.net" for number in range(50)))
        self.assertEqual(stage.governor.uses(BOX).connections.limit, 4)

    def test_reports_have_a_lifetime_of_their_own(self) -> None:
        """bounce_queue_lifetime ends a report sooner than mail, and never later."""
        for bounce, ends_after in ((DAY, DAY), (9 * DAY, 5 * DAY)):
            stage = Stage(self, queue=Queue(bounce_queue_lifetime=bounce))
            origin = Origin("", protocol="", listener=REPORTS, mailbox=BOX)
            draft = stage.spool.draft(Envelope(BOX, (Recipient(APP),)), origin)
            draft.finish()
            (entry,) = stage.spool.commit([draft])
            assert isinstance(entry, Entry)
            stage.pool.script = [refuse(451, "4.3.2", "later")] * 2000
            stage.dispatch.start()
            stage.turn()
            took = stage.until(lambda stage=stage: "bounced" in stage.statuses(), 6 * DAY, 600)
            self.assertTrue(ends_after <= took <= ends_after + 5000, took)

    def test_temporary_refusal_of_the_message_ends_the_round(self) -> None:
        """When Microsoft says "later" to a whole transaction, the next one is not tried now."""
        stage = Stage(self)
        stage.pool.script = [refuse(451, "4.3.2", "later")]
        stage.send(*(f"r{number}@example.net" for number in range(250)))
        self.assertEqual(stage.pool.transactions, 1)
        (entry,) = stage.entries()
        self.assertEqual(entry.attempts, 1)
