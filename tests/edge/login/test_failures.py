"""How long answers to failed logins wait, how many may, and what is forgiven."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.logins import Logins
from m365gw.edge.admission.admission import IpAddress
from m365gw.edge.login.failures import MOST_REMEMBERED, TOLD_AGAIN, Failures, neighbourhood

HERE = ip_address("192.0.2.1")
THERE = ip_address("192.0.2.2")
LIMITS = Logins()
HALF_LIFE = LIMITS.forgiven_after


class FailuresTestCase(SynchronousTestCase):
    """Failures without any so far."""

    def setUp(self) -> None:
        self.failures = Failures(LIMITS)

    def add(
        self, address: IpAddress, password: str, now: float = 0.0, *, login: str = "fax"
    ) -> float:
        attempt = f"{login}:{password}".encode()
        return self.failures.add(address, login.encode(), attempt, now)[0]


class WaitTests(FailuresTestCase):
    """Counting what goes wrong, of addresses and of logins."""

    def test_wait_doubles_up_to_a_bound(self) -> None:
        """Each new wrong password makes the next answer later, but never endlessly so."""
        waits = [self.add(HERE, str(number)) for number in range(30)]
        self.assertEqual(waits[:5], [1.0, 2.0, 4.0, 8.0, 16.0])
        self.assertEqual(set(waits[5:]), {LIMITS.longest_wait})

    def test_same_wrong_password_counts_once(self) -> None:
        """A device with an old password tries it all day; that is no attack."""
        said = [self.failures.add(HERE, b"fax", b"old", 0.0) for _ in range(100)]
        self.assertEqual(said, [(1.0, True)] + [(1.0, False)] * 99)

    def test_old_password_counts_once_among_others(self) -> None:
        """Of the many that an address tries, the one that comes again and again is remembered."""
        for number in range(60):
            self.add(HERE, str(number))
            said = self.failures.add(HERE, b"fax", b"old", 0.0)
        self.assertFalse(said[1])

    def test_addresses_are_counted_apart(self) -> None:
        """One address that guesses does not slow down another, with another login."""
        for number in range(10):
            self.add(HERE, str(number))
        self.assertEqual(self.add(THERE, "x", login="erp"), 1.0)

    def test_a_login_is_counted_over_all_addresses(self) -> None:
        """Guessing from many addresses is as slow as from one."""
        waits = [self.add(ip_address(number), str(number)) for number in range(6)]
        self.assertEqual(waits, [1.0, 2.0, 4.0, 8.0, 16.0, LIMITS.longest_wait])

    def test_where_a_login_was_good_it_is_not_counted_for_others(self) -> None:
        """Strangers who guess at a login do not slow down the office it belongs to."""
        self.failures.forgive(HERE, b"fax")
        for number in range(10):
            self.add(THERE, str(number))
        self.assertEqual(self.add(HERE, "typo"), 1.0)

    def test_good_login_forgives_its_address(self) -> None:
        """Who finds the right password at last starts anew."""
        for number in range(5):
            self.add(HERE, str(number))
        self.failures.forgive(HERE, b"fax")
        self.assertEqual(self.add(HERE, "x"), 1.0)

    def test_good_login_forgives_no_guesses_at_others(self) -> None:
        """Who has one login of his own gains nothing by it for the others."""
        for number in range(5):
            self.add(HERE, str(number))
        self.add(HERE, "typo", login="mine")
        self.failures.forgive(HERE, b"mine")
        self.assertEqual(self.add(HERE, "x"), LIMITS.longest_wait)

    def test_count_halves_with_time(self) -> None:
        """What went wrong long ago is forgiven; a clock that goes back changes nothing."""
        for number in range(4):
            self.add(HERE, str(number))
        self.assertEqual(self.add(HERE, "new", 2 * HALF_LIFE), 2.0)
        self.assertEqual(self.add(HERE, "newer", HALF_LIFE), 4.0)
        self.assertLess(self.add(HERE, "newest", 50 * HALF_LIFE), 1.01)

    def test_ipv6_neighbours_count_as_one(self) -> None:
        """A client has a whole /64: hopping through it gains nothing."""
        self.assertEqual(
            neighbourhood(ip_address("2001:db8::1")), neighbourhood(ip_address("2001:db8::2:3"))
        )
        self.assertNotEqual(neighbourhood(HERE), neighbourhood(THERE))


class FullTests(FailuresTestCase):
    """Only so many answers wait."""

    def test_only_so_many_answers_of_an_address_wait(self) -> None:
        """Who leaves instead of waiting, and comes again, is not faster for it."""
        for number in range(LIMITS.address_wait_limit):
            self.assertFalse(self.failures.is_full(HERE, b"fax"))
            self.add(HERE, str(number))
        self.assertTrue(self.failures.is_full(HERE, b"fax"))
        self.assertTrue(self.failures.is_full(HERE, b"erp"))
        self.assertFalse(self.failures.is_full(THERE, b"fax"))
        self.failures.said(HERE, b"fax")
        self.assertFalse(self.failures.is_full(HERE, b"fax"))

    def test_only_so_many_answers_for_a_login_wait(self) -> None:
        """However many addresses guess; where it was good it may be tried all the same."""
        self.failures.forgive(HERE, b"fax")
        for number in range(LIMITS.login_wait_limit):
            self.add(ip_address(number), str(number))
        self.assertTrue(self.failures.is_full(THERE, b"fax"))
        self.assertFalse(self.failures.is_full(THERE, b"erp"))
        self.assertFalse(self.failures.is_full(HERE, b"fax"))
        self.failures.said(ip_address(0), b"fax")
        self.assertFalse(self.failures.is_full(THERE, b"fax"))

    def test_checks_under_way_count_where_something_failed(self) -> None:
        """An application that starts may log in often at a time; who guesses may not."""
        many = LIMITS.address_wait_limit
        self.add(HERE, "old")
        self.assertFalse(self.failures.is_full(HERE, b"fax", many))
        self.add(HERE, "guess")
        self.assertTrue(self.failures.is_full(HERE, b"fax", many))
        self.assertFalse(self.failures.is_full(THERE, b"fax", many))

    def test_answer_to_a_forgotten_address(self) -> None:
        """It was forgotten meanwhile: its wait is over all the same."""
        self.failures.said(HERE, b"fax")
        self.assertFalse(self.failures.is_full(HERE, b"fax"))

    def test_known_wrong_password(self) -> None:
        """What was wrong once at an address need not be checked again there."""
        self.failures.add(HERE, b"fax", b"old", 0.0)
        self.assertTrue(self.failures.is_known(HERE, b"old"))
        self.assertFalse(self.failures.is_known(HERE, b"new"))
        self.assertFalse(self.failures.is_known(THERE, b"old"))

    def test_the_log_is_told_now_and_then(self) -> None:
        """A storm fills no disk with lines that say the same."""
        told = [self.failures.is_news(HERE, now) for now in (0.0, 1.0, TOLD_AGAIN, TOLD_AGAIN + 1)]
        self.assertEqual(told, [True, False, True, False])

    def test_memory_is_bounded(self) -> None:
        """However many addresses and logins fail, or succeed, only so many are remembered."""
        for number in range(MOST_REMEMBERED + 10):
            self.add(ip_address(number), "x", login=str(number))
            self.failures.forgive(ip_address(number), b"fax")
        kept = (self.failures._addresses, self.failures._logins, self.failures._good)
        self.assertEqual([len(each) for each in kept], [MOST_REMEMBERED] * 3)
