"""Times, sizes and foreign text for a terminal."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli import words


class WordsTests(SynchronousTestCase):
    """Times and sizes."""

    def test_spans(self) -> None:
        """The two largest units, and a short form that fits its column."""
        for seconds, long, short in (
            (-5, "0 seconds", "0s"),
            (59.9, "59 seconds", "59s"),
            (61, "1 minute 1 second", "1m"),
            (3600, "1 hour", "1h"),
            (90_061, "1 day 1 hour", "25h"),
            (432_000, "5 days", "5d"),
            (86_400 * 1000, "1,000 days", "1000d"),
        ):
            self.assertEqual((words.span(seconds), words.short_span(seconds)), (long, short))

    def test_sizes(self) -> None:
        """A number and a unit, never wider than the column."""
        for octets, text in (
            (0, "0"),
            (1023, "1023"),
            (10_240, "10.0K"),
            (1_048_575, "1.0M"),
            (26_214_400, "25.0M"),
            (5 * 2**30, "5.0G"),
        ):
            self.assertEqual(words.size(octets), text)

    @settings(deadline=None, max_examples=200)
    @given(st.text())
    def test_whatever_is_escaped_can_be_printed(self, text: str) -> None:
        """No text is left that a terminal would act upon, and harmless text is left alone."""
        shown = words.escaped(text)
        self.assertTrue(shown.isprintable())
        self.assertEqual(shown == text, text.isprintable())
