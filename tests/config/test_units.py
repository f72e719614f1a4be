"""Durations and sizes as administrators write them."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.units import duration_text, octets, seconds, size_text


class DurationTests(SynchronousTestCase):
    def test_postfix_spellings(self) -> None:
        """Postfix's spellings can be pasted as they are."""
        for text, expected in [
            ("300s", 300.0),
            ("5d", 432000.0),
            ("4h", 14400.0),
            ("1h30m", 5400.0),
            ("1w", 604800.0),
            ("250ms", 0.25),
            ("300", 300.0),
            (300, 300.0),
            (0, 0.0),
        ]:
            with self.subTest(text=text):
                self.assertEqual(seconds(text), expected)

    def test_what_is_no_duration_is_refused_with_the_remedy(self) -> None:
        """A wrong duration names itself and shows how one is written."""
        for wrong in [
            "",
            float("nan"),
            float("inf"),
            "5 days",
            "d5",
            "-3s",
            -3,
            True,
            None,
            [],
            "5dd5",
            "1h x",
        ]:
            with self.subTest(wrong=wrong):
                error = self.assertRaises(ValueError, seconds, wrong)
                self.assertIn("is not a duration", str(error))

    @given(st.integers(0, 10**9))
    def test_plain_seconds_are_kept(self, number: int) -> None:
        """A number is seconds, written with or without its unit."""
        self.assertEqual(seconds(number), seconds(f"{number}s"))

    @given(st.integers(0, 10**7))
    def test_what_is_shown_can_be_typed(self, number: int) -> None:
        """A duration is shown as short as it can be written, and means the same."""
        self.assertEqual(seconds(duration_text(number)), number)
        self.assertEqual(duration_text(432_000), "5d")


class SizeTests(SynchronousTestCase):
    def test_spellings(self) -> None:
        """Sizes take the usual suffixes, all of them powers of 1024."""
        for text, expected in [
            ("25M", 26214400),
            ("35 MiB", 36700160),
            ("512k", 524288),
            ("1G", 1073741824),
            ("100", 100),
            ("100b", 100),
            (7, 7),
        ]:
            with self.subTest(text=text):
                self.assertEqual(octets(text), expected)

    def test_what_is_no_size_is_refused_with_the_remedy(self) -> None:
        """A wrong size names itself and shows how one is written."""
        for wrong in ["", "M", "25X", -1, True, 1.5, None]:
            with self.subTest(wrong=wrong):
                error = self.assertRaises(ValueError, octets, wrong)
                self.assertIn("is not a size", str(error))

    @given(st.integers(0, 10**15))
    def test_what_is_shown_can_be_typed(self, number: int) -> None:
        """A size is shown as short as it can be written, and means the same."""
        self.assertEqual(octets(size_text(number)), number)
        self.assertEqual(size_text(36_700_160), "35M")
