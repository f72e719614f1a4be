"""Tests for `m365gw.relay.delivery.retries`."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.relay.delivery.retries import expired, next_attempt

MIDDLE = 0.5  # the chance that moves nothing


class NextAttemptTests(SynchronousTestCase):
    """The wait between two attempts."""

    def test_young_message_waits_the_minimum(self) -> None:
        """A message that has just arrived waits minimal_backoff_time."""
        self.assertEqual(next_attempt(1000.0, 1.0, 300.0, 4000.0, MIDDLE), 1300.0)

    def test_wait_grows_with_age(self) -> None:
        """Between the bounds the wait is the age, so the gaps double."""
        self.assertEqual(next_attempt(1000.0, 700.0, 300.0, 4000.0, MIDDLE), 1700.0)

    def test_old_message_waits_the_maximum(self) -> None:
        """The wait never grows over maximal_backoff_time."""
        self.assertEqual(next_attempt(1000.0, 90000.0, 300.0, 4000.0, MIDDLE), 5000.0)

    def test_hint_of_the_other_side_is_kept(self) -> None:
        """A wait the other side asked for is never cut short, not by jitter either."""
        self.assertEqual(next_attempt(1000.0, 0.0, 300.0, 4000.0, 0.0, hint=900.0), 1900.0)

    def test_bounds_the_wrong_way_round(self) -> None:
        """A minimum over the maximum wins: the careful reading of a careless configuration."""
        self.assertEqual(next_attempt(0.0, 5.0, 600.0, 300.0, MIDDLE), 600.0)

    @settings(deadline=None, max_examples=200)
    @given(st.floats(0, 1e6), st.floats(0, 1))
    def test_jitter_is_ten_per_cent(self, age: float, chance: float) -> None:
        """Whatever the chance, the wait stays within ten per cent of the plain one."""
        wait = min(max(age, 300.0), 4000.0)
        moved = abs(next_attempt(0.0, age, 300.0, 4000.0, chance) - wait)
        self.assertLessEqual(moved, 0.1001 * wait)


class ExpiredTests(SynchronousTestCase):
    """The end of a message's time."""

    def test_lifetime(self) -> None:
        """A message is given up when it has failed for its whole lifetime, not before."""
        self.assertFalse(expired(431999.0, 432000.0))
        self.assertTrue(expired(432000.0, 432000.0))

    def test_lifetime_of_zero_allows_one_attempt(self) -> None:
        """With a lifetime of 0 the first failed attempt is the last."""
        self.assertTrue(expired(0.0, 0.0))
