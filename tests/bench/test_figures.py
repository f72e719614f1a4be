"""Statistics of the bench."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.figures import Spread, percentile, ratios, spread


class FiguresTests(SynchronousTestCase):
    """Small numbers, done by hand."""

    def test_percentile_is_one_of_the_values(self) -> None:
        """The smallest that the share does not exceed; never one in between."""
        values = [float(number) for number in range(1, 101)]
        self.assertEqual(50.0, percentile(values, 0.5))
        self.assertEqual(99.0, percentile(values, 0.99))
        self.assertEqual(100.0, percentile(values, 1.0))
        self.assertEqual(1.0, percentile(values, 0.0))
        self.assertEqual(7.0, percentile([7.0], 0.99))

    def test_percentile_of_nothing(self) -> None:
        """There is none, and no number is made up."""
        self.assertRaises(ValueError, percentile, [], 0.5)

    def test_ratios_stay_within_their_round(self) -> None:
        """Each figure by the base's of the same round; a round without both is left out."""
        self.assertEqual([2.0, 0.5], ratios([4.0, None, 1.0, 3.0], [2.0, 1.0, 2.0, None]))

    def test_base_of_nothing_gives_no_ratio(self) -> None:
        """What took no time at all cannot be compared with."""
        self.assertEqual([], ratios([1.0], [0.0]))

    def test_spread(self) -> None:
        """Median and bounds; of no values there is none."""
        self.assertEqual(Spread(2.0, 1.0, 9.0, 3), spread([9.0, 1.0, 2.0]))
        self.assertIsNone(spread([]))
