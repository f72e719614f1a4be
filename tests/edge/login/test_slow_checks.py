"""The queue of slow checks: who comes first, and who is turned away."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.edge.login.slow_checks import BUSY, SlowChecks
from m365gw.smtp.replies import Refused


class SlowChecksTests(SynchronousTestCase):
    """Two threads, and room for four that wait."""

    def setUp(self) -> None:
        self.running: list[tuple[str, Deferred[int | None]]] = []
        self.checks = SlowChecks(self.in_thread, 2, 4)

    def in_thread(
        self, function: object, hashes: tuple[str, ...], password: str
    ) -> Deferred[int | None]:
        result: Deferred[int | None] = Deferred()
        self.running.append((password, result))
        return result

    def check(self, who: str, password: str, failed: float = 0.0) -> Deferred[int | None]:
        return self.checks.check(who, failed, ("hash",), password)

    def order(self) -> list[str]:
        """Let every check end; the passwords in the order in which they were checked."""
        for _, result in self.running:  # grows
            result.callback(None)
        return [password for password, _ in self.running]

    def assert_busy(self, result: Deferred[int | None]) -> None:
        self.assertEqual(self.failureResultOf(result, Refused).value.reply, BUSY)

    def test_no_more_run_than_there_are_threads(self) -> None:
        """Memory and processor are bounded by the threads."""
        results = [self.check(f"host {number}", "x") for number in range(5)]
        self.assertEqual(len(self.running), 2)
        self.running[0][1].callback(0)
        self.assertEqual(self.successResultOf(results[0]), 0)
        self.assertEqual(len(self.running), 3)

    def test_who_failed_least_comes_first(self) -> None:
        """Whoever guesses waits behind those who do not."""
        for number in range(3):
            self.check("guesser", f"guess {number}", failed=7.0)
        self.check("office", "typo", failed=1.0)
        self.check("printer", "right")
        self.assertEqual(self.order(), ["guess 0", "guess 1", "right", "typo", "guess 2"])

    def test_addresses_take_turns(self) -> None:
        """Many checks of one address do not keep out the first one of another."""
        for number in range(4):
            self.check("storm", f"storm {number}")
        self.check("printer", "right")
        said = self.order()
        self.assertEqual(said[:3], ["storm 0", "storm 1", "right"])

    def test_first_wave_of_a_storm_waits_behind_who_comes_later(self) -> None:
        """Fifty addresses that have not failed yet do not cost the fifty-first a second."""
        for number in range(6):
            self.check(f"storm {number}", f"storm {number}").addErrback(lambda failure: None)
        self.check("printer", "right")
        self.assertEqual(self.order()[2], "right")

    def test_full_queue_turns_away_who_would_come_last(self) -> None:
        """At once, whether it is the one that just came or one that waits already."""
        storm = [self.check("storm", f"storm {number}") for number in range(7)]
        self.assert_busy(storm[6])
        right = self.check("printer", "right")
        self.assert_busy(storm[5])
        self.assertNoResult(right)
        self.assertEqual(self.order()[2], "right")

    def test_failure_of_a_check_is_its_own(self) -> None:
        """It reaches the one who asked, and the next check runs."""
        broken, good = self.check("a", "x"), self.check("b", "y")
        self.check("c", "z")
        self.running[0][1].errback(MemoryError())
        self.failureResultOf(broken, MemoryError)
        self.assertNoResult(good)
        self.assertEqual(len(self.running), 3)

    def test_nothing_is_left_of_those_that_were_checked(self) -> None:
        """Memory does not grow with the addresses that came."""
        for number in range(20):
            self.check(f"host {number}", "x").addErrback(lambda failure: None)
        self.order()
        self.assertEqual((len(self.checks._of), self.checks._waiting), (0, []))

    def test_password_shows_in_no_representation(self) -> None:
        """A queue that is printed in a traceback tells nothing."""
        for _ in range(3):
            self.check("a", "s3cret")
        self.assertNotIn("s3cret", repr(self.checks._waiting))
