"""Whether the machine was ours."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.quiet import TICK, Clocks, Disturbance, disturbance

STAT = "cpu  300 20 80 1000 50 7 13 30 5 0\ncpu0 1 1 1 1 1 1 1 1 0 0\nintr 1\n"


class ClocksTests(SynchronousTestCase):
    """The first line of /proc/stat."""

    def test_line_is_read(self) -> None:
        """Programs are user, nice and system; guests are in user already."""
        clocks = Clocks.parse(STAT)
        self.assertEqual(400, clocks.programs * TICK)
        self.assertEqual(30, clocks.stolen * TICK)
        self.assertEqual(1500, clocks.total * TICK)

    def test_this_machine_has_clocks(self) -> None:
        """They are there and go forward."""
        before = Clocks.now()
        self.assertGreaterEqual(Clocks.now().total, before.total)


class DisturbanceTests(SynchronousTestCase):
    """The refusal rule: a tenth of the machine, for others and for its host."""

    def between(self, programs: float, stolen: float, ours: float) -> Disturbance:
        """Ten seconds of two processors."""
        return disturbance(Clocks(100, 5, 1000), Clocks(100 + programs, 5 + stolen, 1020), ours)

    def test_our_own_work_does_not_count(self) -> None:
        """What the server and the generator used is no disturbance."""
        self.assertEqual(Disturbance(0.0, 0.0), self.between(15.0, 0.0, 15.0))

    def test_work_of_others_disturbs(self) -> None:
        """Up to a tenth of the machine passes, more does not."""
        self.assertTrue(self.between(12.0, 0.0, 10.0).is_quiet)
        self.assertFalse(self.between(12.1, 0.0, 10.0).is_quiet)

    def test_stolen_time_disturbs(self) -> None:
        """The host's other guests are as bad as other programs."""
        self.assertTrue(self.between(10.0, 2.0, 10.0).is_quiet)
        self.assertFalse(self.between(10.0, 2.1, 10.0).is_quiet)

    def test_clocks_that_do_not_fit(self) -> None:
        """Ticks are coarse: we may seem to have used more than all; that is no disturbance."""
        self.assertEqual(0.0, self.between(9.9, 0.0, 10.0).foreign)

    def test_it_is_said_in_words(self) -> None:
        """Who is refused a report learns what disturbed."""
        self.assertEqual(
            "others used 25% of the machine, its host took 3%", str(Disturbance(0.25, 0.03))
        )
