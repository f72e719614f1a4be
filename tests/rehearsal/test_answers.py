"""Tests of the collection of answers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from m365gw.rehearsal.answers import ANSWERS, answer


class AnswersTests(SynchronousTestCase):
    """Names and texts."""

    def test_all_answers_are_one_line_with_code_and_status(self) -> None:
        """Each could stand on the wire as it is."""
        for name, text in ANSWERS.items():
            self.assertRegex(text, r"\A[245]\d\d [245]\.\d+\.\d+ [ -~]+\Z", name)

    def test_name_or_text(self) -> None:
        """A name gives its answer, a text with a code itself, anything else an error."""
        self.assertTrue(answer("quota").startswith("554 5.2.0"))
        self.assertEqual(answer("451 later"), "451 later")
        for text in ("", "451", "951 x", "451 a\r\nb", "no such name"):
            self.assertRaises(ValueError, answer, text)
