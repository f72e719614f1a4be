"""Deadlines that are moved often."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.edge.session.deadline import Deadline


class DeadlineTests(SynchronousTestCase):
    """Set, moved, cleared, expired."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.expired: list[float] = []
        self.deadline = Deadline(self.clock, lambda: self.expired.append(self.clock.seconds()))

    def test_expires_once(self) -> None:
        """What was set expires at its time, and not again."""
        self.deadline.set(10)
        self.clock.pump([9.9, 0.1, 50])
        self.assertEqual(self.expired, [10])

    def test_moved_later_expires_later(self) -> None:
        """Moving the deadline leaves the timer alone, and the timer looks again."""
        self.deadline.set(10)
        self.clock.advance(5)
        self.deadline.set(10)
        self.clock.pump([5, 4.9])
        self.assertEqual(self.expired, [])
        self.clock.advance(0.1)
        self.assertEqual(self.expired, [15])

    def test_moved_sooner_expires_sooner(self) -> None:
        """A shorter deadline does not wait for the timer of a longer one."""
        self.deadline.set(300)
        self.deadline.set(10)
        self.clock.advance(10)
        self.assertEqual(self.expired, [10])

    def test_cleared_does_not_expire_until_set_again(self) -> None:
        """While it is cleared no time counts."""
        self.deadline.set(10)
        self.deadline.clear()
        self.clock.advance(100)
        self.assertEqual(self.expired, [])
        self.deadline.set(10)
        self.clock.advance(10)
        self.assertEqual(self.expired, [110])

    def test_many_moves_cost_one_timer(self) -> None:
        """However often it is moved, the reactor sees one timer."""
        for _ in range(1000):
            self.deadline.set(10)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_stopped_leaves_no_timer(self) -> None:
        """A closed connection leaves nothing behind."""
        self.deadline.set(10)
        self.deadline.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
