"""Tests of the meters."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.rehearsal.limits import Limits, Meters

BOX = "a@x.example"


class MetersTests(SynchronousTestCase):
    """Places, rate and quota."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.limits = Limits(messages_per_minute=2)
        self.meters = Meters(self.limits, self.clock)

    def test_places_are_counted_for_each_mailbox(self) -> None:
        """One mailbox does not take the places of another; letter case does not matter."""
        for session in range(3):
            self.assertTrue(self.meters.take_place(BOX, session))
        self.assertFalse(self.meters.take_place(BOX.upper(), 3))
        self.assertTrue(self.meters.take_place("b@x.example", 3))
        self.assertTrue(self.meters.take_place(BOX, 0))
        self.meters.leave_place(BOX, 0)
        self.assertTrue(self.meters.take_place(BOX, 3))

    def test_surplus_messages_queue_up(self) -> None:
        """Each waits for a place of its own in a later minute."""
        waits = [self.meters.count_message(BOX) for _ in range(5)]
        self.assertEqual(waits, [0, 0, 60, 60, 120])
        self.clock.advance(61)
        self.assertEqual(self.meters.rate_wait(BOX), 59)

    def test_usage_tells_the_most_of_each(self) -> None:
        """The greatest number of any moment is kept, and each time somebody wanted more."""
        for session in range(4):
            self.meters.take_place(BOX, session)
        self.meters.note_excess(BOX, "connections")
        for wait in (0, 10, 10, 70, 10):
            self.clock.advance(wait)
            self.meters.count_message(BOX)
            self.meters.count_recipients(BOX, 5)
        self.assertEqual(
            self.meters.usage(),
            {
                BOX: {
                    "messages": 5,
                    "recipients": 25,
                    "most_at_once": 3,
                    "most_in_a_minute": 3,
                    "most_recipients_in_a_day": 25,
                    "over_connections": 1,
                    "over_rate": 2,
                    "over_quota": 0,
                }
            },
        )

    def test_minute_may_be_shorter(self) -> None:
        """A rehearsal in a hurry."""
        self.limits.minute = 5.0
        waits = [self.meters.count_message(BOX) for _ in range(3)]
        self.assertEqual(waits, [0, 0, 5])

    def test_forget(self) -> None:
        """A rehearsal may begin again."""
        self.limits.recipients_per_day = 1
        self.meters.count_message(BOX)
        self.meters.count_message(BOX)
        self.meters.count_recipients(BOX, 1)
        self.assertTrue(self.meters.over_quota(BOX, 1))
        self.meters.forget()
        self.assertFalse(self.meters.over_quota(BOX, 1))
        self.assertEqual(self.meters.rate_wait(BOX), 0)
