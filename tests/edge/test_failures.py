"""How long an address waits after failed logins."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from m365gw.edge.failures import (
    HALF_LIFE,
    LONGEST_WAIT,
    MOST_ADDRESSES,
    MOST_WAITING,
    Failures,
    neighbourhood,
)

HERE = ip_address("192.0.2.1")
THERE = ip_address("192.0.2.2")


class FailuresTests(SynchronousTestCase):
    """Counting what goes wrong, per address."""

    def test_wait_doubles_up_to_a_bound(self) -> None:
        """Each new wrong password makes the next answer later, but never endlessly so."""
        failures = Failures()
        waits = [failures.add(HERE, "a", str(number), 0.0) for number in range(10)]
        self.assertEqual(waits[:5], [1.0, 2.0, 4.0, 8.0, 16.0])
        self.assertEqual(set(waits[5:]), {LONGEST_WAIT})

    def test_same_wrong_password_counts_once(self) -> None:
        """A device with an old password tries it all day; that is no attack."""
        failures = Failures()
        waits = {failures.add(HERE, "fax", "old", 0.0) for _ in range(100)}
        self.assertEqual(waits, {1.0})

    def test_addresses_are_counted_apart(self) -> None:
        """One address that guesses does not slow down another."""
        failures = Failures()
        for number in range(10):
            failures.add(HERE, "a", str(number), 0.0)
        self.assertEqual(failures.add(THERE, "a", "x", 0.0), 1.0)

    def test_count_halves_with_time(self) -> None:
        """What went wrong long ago is forgiven."""
        failures = Failures()
        for number in range(4):
            failures.add(HERE, "a", str(number), 0.0)
        self.assertEqual(failures.add(HERE, "a", "new", 2 * HALF_LIFE), 2.0)
        self.assertLess(failures.add(HERE, "a", "newer", 50 * HALF_LIFE), 1.01)

    def test_only_so_many_answers_wait(self) -> None:
        """Who leaves instead of waiting, and comes again, is not faster for it."""
        failures = Failures()
        for number in range(MOST_WAITING):
            self.assertFalse(failures.is_full(HERE))
            failures.add(HERE, "a", str(number), 0.0)
        self.assertTrue(failures.is_full(HERE))
        self.assertFalse(failures.is_full(THERE))
        failures.said(HERE)
        self.assertFalse(failures.is_full(HERE))

    def test_answer_to_a_forgotten_address(self) -> None:
        """It was forgotten meanwhile: its wait is over all the same."""
        failures = Failures()
        failures.said(HERE)
        self.assertFalse(failures.is_full(HERE))

    def test_memory_is_bounded(self) -> None:
        """However many addresses fail, only so many are remembered."""
        failures = Failures()
        for number in range(MOST_ADDRESSES + 10):
            failures.add(ip_address(number), "a", "x", 0.0)
        self.assertEqual(len(failures._records), MOST_ADDRESSES)

    def test_ipv6_neighbours_count_as_one(self) -> None:
        """A client has a whole /64: hopping through it gains nothing."""
        self.assertEqual(
            neighbourhood(ip_address("2001:db8::1")), neighbourhood(ip_address("2001:db8::2:3"))
        )
        self.assertNotEqual(neighbourhood(HERE), neighbourhood(THERE))
