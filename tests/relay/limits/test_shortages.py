"""Tests for `m365gw.relay.limits.shortages`: what the log says, and what does not age."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Governor as Limits
from m365gw.relay.limits.governor import Limit, Use, Uses, Wait
from m365gw.relay.limits.shortages import in_words
from tests.relay.stage import BOX, GENEROUS, Stage, refuse

DAY = 86400.0
SENDER = "app@contoso.com"


class LogTests(SynchronousTestCase):
    """Once when it begins, once when it is over."""

    def backlog(self, stage: Stage, count: int) -> None:
        stage.dispatch.start()
        for _ in range(count):
            stage.dispatch.accepted(stage.put())
        stage.turn()

    def test_backlog_is_told_once(self) -> None:
        """More mail than a minute takes: one line says how much and for how long, one the end."""
        stage = Stage(self, limits=Limits())
        self.backlog(stage, 100)
        stage.wait(600)
        self.assertEqual(len(stage.pool.delivered), 100)
        (begun,), (over,) = stage.events("budget.waiting"), stage.events("budget.enough")
        self.assertEqual(begun["mailbox"], BOX)
        self.assertEqual(
            begun["note"],
            f"{BOX} sends as fast as is allowed, 30 messages a minute (1 in the last one);"
            " 99 messages wait, the last goes in about 4 min",
        )
        self.assertEqual(over["note"], f"{BOX} has caught up after 4 min")

    def test_small_burst_is_no_shortage(self) -> None:
        """What is through in less than a minute is not worth a line."""
        stage = Stage(self, limits=Limits())
        self.backlog(stage, 25)
        stage.wait(120)
        self.assertEqual(len(stage.pool.delivered), 25)
        self.assertEqual(stage.events("budget.waiting"), [])

    def test_used_up_day_is_told_loudly_and_once(self) -> None:
        """One line, as a warning, however many messages wait and however often it is looked at."""
        stage = Stage(self, limits=evolve(GENEROUS, recipients_per_day=3))
        self.backlog(stage, 5)
        stage.wait(3 * 3600, 60)
        (begun,) = stage.events("budget.waiting")
        self.assertEqual(begun["level"], "warn")
        self.assertIn("has sent to 3 recipients in 24 hours", begun["note"])
        self.assertIn("2 messages wait, the first goes in about 25 h", begun["note"])
        stage.wait(DAY, 600)
        self.assertEqual(len(stage.events("budget.enough")), 1)
        self.assertEqual(len(stage.pool.delivered), 5)

    def test_every_limit_has_words(self) -> None:
        """Whatever a mailbox waits for is named, with its number."""
        use = Use(1, 2, 60.0)
        uses = Uses(use, use, use, use, 100)
        for limit in Limit:
            said = in_words(BOX, Wait(60.0, limit), uses, 1)
            self.assertIn("Microsoft" if limit is Limit.HOST else BOX, said)
        self.assertEqual(in_words(BOX, Wait(), uses, 1), "")


class LifetimeTests(SynchronousTestCase):
    """Waiting for a budget brings no message nearer to its end."""

    def test_message_that_waited_for_a_day_is_not_given_up(self) -> None:
        """Six days without budget, then a first 4yz: it is tried again, and arrives."""
        limits = evolve(GENEROUS, recipients_per_day=1)
        stage = Stage(self, limits=limits)
        stage.dispatch.start()
        for number in range(7):
            stage.send(f"{number}@example.net")
        stage.wait(5.5 * DAY, 600)
        self.assertLess(len(stage.pool.delivered), 7)
        stage.pool.script = [refuse(451, "4.3.2", "later")] * 2
        stage.wait(4 * DAY, 600)
        self.assertEqual(len(stage.pool.delivered), 7)
        self.assertNotIn("bounced", stage.statuses())

    def test_it_ages_again_when_there_is_budget(self) -> None:
        """Five days of failures of its own end a message, shortage or not."""
        stage = Stage(self, limits=evolve(GENEROUS, recipients_per_day=50))
        stage.dispatch.start()
        for number in range(60):
            stage.dispatch.accepted(stage.put(f"{number}@example.net"))
        stage.wait(1.2 * DAY, 600)
        self.assertEqual(len(stage.pool.delivered), 60)
        age = stage.mailboxes.excused
        start, now = stage.clock.seconds() - 1.2 * DAY, stage.clock.seconds()
        self.assertTrue(DAY <= age(BOX, SENDER, start, now) <= 1.1 * DAY)
        self.assertEqual(age(BOX, SENDER, now - 3600, now), 0.0)
