"""Tests for `m365gw.relay.queue.clock_watch`, and of what mail out does when it is told."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.events import EventLog
from m365gw.relay.queue.clock_watch import ClockWatch
from tests.relay.stage import BOX, START, Stage, refuse

HOUR = 3600.0


class SetClock(Clock):
    """A clock that can be set, with its timers as Twisted's reactor has them."""

    def callFromThread(self, call: Callable[..., Any], *arguments: Any) -> None:
        call(*arguments)

    def set(self, shift: float) -> None:
        self.rightNow += shift


class ClockWatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = SetClock()
        self.clock.rightNow = START
        self.steady = 0.0
        self.told: list[float] = []
        self.lines = io.StringIO()
        self.watch = ClockWatch(
            self.clock,
            EventLog(self.lines, hostname="gw", format="json"),
            self.told.append,
            wall=self.clock.seconds,
            steady=lambda: self.steady,
        )

    def pass_time(self, seconds: float) -> None:
        self.steady += seconds
        self.clock.advance(seconds)

    def test_timers_last_as_long_as_they_were_meant_to(self) -> None:
        """Set back or forward, a timer of a minute ends after a minute."""
        for shift in (-3 * HOUR, 3 * HOUR):
            ended: list[str] = []
            self.clock.callLater(60, ended.append, "done")
            self.pass_time(20)
            self.clock.set(shift)
            self.watch.look()
            self.pass_time(39)
            self.assertEqual(ended, [])
            self.pass_time(1)
            self.assertEqual(ended, ["done"])
        self.assertEqual(self.told, [-3 * HOUR, 3 * HOUR])
        self.assertIn("set back by 10800 s", self.lines.getvalue())

    def test_small_steps_are_no_matter(self) -> None:
        """What a time server does all day moves nothing and is not told."""
        for _ in range(3):
            self.clock.set(0.3)
            self.watch.look()
        self.assertEqual(self.told, [])


class MailOutTests(SynchronousTestCase):
    """Set back by three hours, mail out goes on."""

    def test_stops_and_paces_last_as_long_as_before(self) -> None:
        """A mailbox that was to be probed in five minutes is, not in three hours and five."""
        stage = Stage(self)
        stage.dispatch.start()
        stage.pool.script = [refuse(550, "5.1.8", "Access denied, bad outbound sender")]
        stage.send()
        stage.wait(10)
        stage.set_clock(-3 * HOUR)
        self.assertEqual(stage.mailboxes.standing(BOX).until, START - 3 * HOUR + 300)
        stage.send("second@example.net")
        stage.wait(300, 5)
        self.assertIn("second@example.net", stage.reached())
