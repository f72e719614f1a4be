"""Which report told a sender of a delay, as the file of the message says it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.spool.warning import NO_WARNING, DelayWarning, parse_warning, render_warning
from tests.spool.cases import SpoolCase

REPORT = "4Q7BX2K9M3PDW"


class WarningTests(SynchronousTestCase):
    """The line that is overwritten in place."""

    def test_line_is_of_one_length_and_comes_back(self) -> None:
        """Whatever it says; before anybody was warned it says nothing."""
        self.assertIsNone(parse_warning(NO_WARNING))
        for warning in (DelayWarning(REPORT, is_made=False), DelayWarning(REPORT, is_made=True)):
            line = render_warning(warning)
            self.assertEqual(len(line), len(NO_WARNING))
            self.assertEqual(parse_warning(line), warning)

    @given(st.integers(0, len(NO_WARNING)))
    def test_half_a_line_is_no_warning(self, cut: int) -> None:
        """A power loss that left old and new octets side by side: nobody was warned, or all is."""
        new = render_warning(DelayWarning(REPORT, is_made=True))
        torn = new[:cut] + NO_WARNING[cut:]
        self.assertIn(parse_warning(torn), (None, DelayWarning(REPORT, is_made=True)))


class NotedTests(SpoolCase):
    """In a message at rest."""

    def test_it_is_found_again(self) -> None:
        """Noted in one claim, read in the next; outcomes beside it stay as they are."""
        entry = self.accept()
        message = self.spool.claim(entry)
        self.assertIsNone(message.warning)
        message.warn(DelayWarning(REPORT, is_made=True))
        records = message.recipients
        entry = self.spool.defer(message, 100)
        again = self.spool.claim(entry)
        self.assertEqual(again.warning, DelayWarning(REPORT, is_made=True))
        self.assertEqual(again.recipients, records)
        again.close()
