"""Tests for `m365gw.relay.stops.intervals`."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.relay.stops.intervals import MOST, History, Intervals

SPANS = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=20)


class IntervalsTests(SynchronousTestCase):
    """Spans that add up."""

    @settings(deadline=None, max_examples=100)
    @given(SPANS, st.integers(0, 200), st.integers(0, 200))
    def test_each_second_counts_once(
        self, spans: list[tuple[int, int]], start: int, end: int
    ) -> None:
        """However spans overlap, a second in any of them counts once."""
        seconds = {second for first, last in spans for second in range(first, last)}
        expected = len([second for second in seconds if start <= second < end])
        self.assertEqual(Intervals(spans).within(start, end), expected)

    def test_bounded(self) -> None:
        """Many spans become fewer that cover at least as much."""
        spans = [(float(n), n + 0.5) for n in range(10 * MOST)]
        kept = Intervals(spans)
        self.assertLessEqual(len(kept.spans), MOST)
        self.assertGreaterEqual(kept.within(0, 1e6), 5 * MOST)

    def test_history_gives_the_union_of_what_is_asked_for(self) -> None:
        """Spans of the things named count once, those of others do not."""
        history: History[str] = History()
        history.add("a", 0, 10)
        history.add("b", 5, 20)
        history.add("c", 0, 1000)
        self.assertEqual(history.union(["a", "b", "unknown"]).within(0, 100), 20)

    def test_other_spans_are_added(self) -> None:
        """The union of two holds both."""
        kept = Intervals([(0, 10)])
        kept.add_all(Intervals([(5, 20), (30, 40)]))
        self.assertEqual(kept.spans, [(0.0, 20.0), (30.0, 40.0)])
