"""No mail bomb: `m365gw.relay.reports.summaries`, on the real spool."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Queue
from m365gw.microsoft.replies import Phase
from m365gw.relay.reports.summaries import HOUR, Summaries
from m365gw.smtp.envelope import Recipient
from m365gw.spool.health import SpoolError
from tests.relay.reports.test_delays import Unwilling
from tests.relay.stage import APP, Stage, refuse

NO_USER = refuse(550, "5.1.1", "User unknown", Phase.RCPT)
FEW = Queue(report_limit=3)


class SummariesTests(SynchronousTestCase):
    """Thousands fail at once."""

    def stage(self) -> Stage:
        stage = Stage(self, queue=FEW)
        stage.pool.script = Unwilling(NO_USER)
        stage.dispatch.start()
        return stage

    def subjects(self, stage: Stage) -> list[str]:
        """What was sent, by its subject."""
        return [
            one.content.split(b"Subject: ")[1].split(b"\r\n")[0].decode()
            for one in stage.pool.delivered
        ]

    def test_the_rest_is_told_in_one_mail(self) -> None:
        """Three reports, then one mail about all others, and none of them stays behind."""
        stage = self.stage()
        for number in range(200):
            stage.send(f"user{number}@example.net")
        stage.wait(1200)
        self.assertEqual(stage.entries(), [])
        subjects = self.subjects(stage)
        self.assertEqual(subjects.count("Undelivered mail returned to sender"), 3)
        self.assertEqual(subjects.count("197 more messages not delivered"), 1)
        self.assertEqual(len(subjects), 4)
        bounced = [one for one in stage.events("delivery") if one["status"] == "bounced"]
        self.assertEqual(len(bounced), 200)

    def test_thousands_of_addresses_are_forgotten_in_time(self) -> None:
        """Also one that was asked about when its hour was over, and got nothing since."""
        clock = Clock()
        summaries = Summaries(self.stage().bounces, clock, limit=1)
        for number in range(1001):
            summaries.count(f"user{number}@example.net")
        self.assertFalse(summaries.has_room("user0@example.net"))
        clock.advance(HOUR + 1)
        self.assertTrue(summaries.has_room("user0@example.net"))
        summaries.count("other@example.net")
        self.assertEqual(len(summaries._sent), 1)

    def test_each_address_has_its_own_measure(self) -> None:
        """One noisy sender keeps no other from its reports, and an hour later it has its own."""
        stage = self.stage()
        for number in range(10):
            stage.send(f"user{number}@example.net")
        stage.send("x@example.net", sender="other@contoso.com")
        self.assertIn("other@contoso.com", stage.reached())
        stage.wait(4000, 10)
        stage.send("y@example.net")
        self.assertEqual(stage.reached()[-1], APP)
        self.assertEqual(stage.entries(), [])

    def test_who_wants_no_report_is_not_counted(self) -> None:
        """NOTIFY=NEVER needs neither report nor summary."""
        stage = self.stage()
        for number in range(10):
            stage.send(Recipient(f"user{number}@example.net", frozenset({"NEVER"})))
        stage.send("y@example.net")
        self.assertEqual((stage.reached(), stage.entries()), ([APP], []))

    def test_what_was_removed_meanwhile_is_left_out(self) -> None:
        """An operator deletes a message that waits for its summary."""
        stage = self.stage()
        for number in range(5):
            stage.send(f"user{number}@example.net")
        (gone, _) = stage.entries()
        stage.spool.unlink(gone)
        stage.wait(1200)
        self.assertIn("1 more messages not delivered", self.subjects(stage))
        self.assertEqual(stage.entries(), [])

    def test_a_disk_that_fails_loses_nothing(self) -> None:
        """The summary cannot be made: its messages come due again and are told of later."""
        stage = self.stage()
        for number in range(5):
            stage.send(f"user{number}@example.net")

        def fail(*_: Any) -> Any:
            raise SpoolError(OSError(28, "No space left on device"))

        broken = self.patch(stage.spool, "commit", fail)
        stage.wait(310)
        self.assertEqual(len(stage.events("report.postponed")), 1)
        broken.restore()
        stage.wait(1200)
        self.assertIn("2 more messages not delivered", self.subjects(stage))
        self.assertEqual(stage.entries(), [])

    def test_a_crash_loses_nothing(self) -> None:
        """Whenever it ends, each message is told of, in the end, and none is left."""
        for call, moment in (("settle", 1), ("settle", 3), ("commit", 1), ("settle", 4)):
            with self.subTest(call=call, moment=moment):
                stage = self.crashed(call, moment)
                stage.wait(3000, 5)
                text = b"".join(one.content for one in stage.pool.delivered)
                for number in range(5):
                    self.assertIn(b"user%d@example.net" % number, text)
                self.assertEqual(stage.entries(), [])
                notes = [each.get("note", "") for each in stage.events("delivery")]
                said = [each for each in notes if "its sender hears of it twice" in each]
                self.assertEqual(bool(said), call == "commit" or moment > 1)

    def crashed(self, call: str, moment: int) -> Stage:
        """A stage that goes on where another ended, in such a call while a summary was made."""
        first = Stage(self, queue=FEW)
        first.pool.script = Unwilling(NO_USER)
        first.dispatch.start()
        for number in range(5):
            first.send(f"user{number}@example.net")
        really = getattr(first.spool, call)
        calls = [0]

        def end(*arguments: Any) -> Any:
            calls[0] += 1
            if calls[0] < moment:
                return really(*arguments)
            first.lose_power()
            raise SpoolError(OSError(5, "gone"))

        self.patch(first.spool, call, end)
        for _ in range(1000):
            if calls[0] < moment:
                first.clock.advance(1)
                first.turn(5)
        self.assertGreaterEqual(calls[0], moment)
        self.flushLoggedErrors()
        second = first.restarted(queue=FEW, pool=first.pool)
        second.dispatch.start()
        return second
