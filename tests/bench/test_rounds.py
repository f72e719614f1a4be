"""Rounds: interleaved, whole, and bounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twisted.trial.unittest import SynchronousTestCase

from bench.quiet import Disturbance
from bench.rounds import SPARE, Round, Unquiet, interleaved

QUIET, BUSY = Disturbance(0.02, 0.0), Disturbance(0.4, 0.0)
RIVALS = ("a", "b", "c")


class RoundsTests(SynchronousTestCase):
    """Measurements that only say their number, on a machine that is told how to be."""

    def run_rounds(
        self, moods: Iterable[Disturbance], wanted: int, *, anyway: bool = False
    ) -> list[Round[int]]:
        self.order: list[str] = []
        self.said: list[str] = []
        mood: Iterator[Disturbance] = iter(moods)

        def measure(rival: str) -> tuple[int, Disturbance]:
            self.order.append(rival)
            return len(self.order), next(mood, QUIET)

        return interleaved(RIVALS, measure, wanted, say=self.said.append, anyway=anyway)

    def test_order_turns(self) -> None:
        """Who was first is last in the next round, so that none has the better place."""
        self.assertEqual(3, len(self.run_rounds([], 3)))
        self.assertEqual("abccbaabc", "".join(self.order))

    def test_disturbed_round_is_thrown_away_whole(self) -> None:
        """A round has all rivals from one quiet time, and is not gone on with once disturbed."""
        [first] = self.run_rounds([QUIET, BUSY], 1)
        self.assertEqual({"c": 3, "b": 4, "a": 5}, first)
        self.assertEqual("abcba", "".join(self.order))
        self.assertIn("b: others used 40% of the machine", self.said[0])

    def test_machine_that_is_never_quiet(self) -> None:
        """Nothing is reported, and the refusal names each disturbance."""
        refused = self.assertRaises(Unquiet, self.run_rounds, [BUSY] * 100, 2)
        self.assertEqual(2 * SPARE + 1, len(refused.reasons))
        self.assertEqual(2 * SPARE + 1, len(self.order))
        self.assertEqual(2 * SPARE + 1, len(str(refused).splitlines()))

    def test_disturbed_rounds_are_kept_when_asked_for(self) -> None:
        """Then no round is run again."""
        self.assertEqual(2, len(self.run_rounds([BUSY] * 100, 2, anyway=True)))
        self.assertEqual("abccba", "".join(self.order))
