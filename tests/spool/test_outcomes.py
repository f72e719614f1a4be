"""What changes in a message file: outcomes, the reason, the warning of a delay."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome
from m365gw.spool.health import Corrupt
from m365gw.spool.outcomes import (
    NO_REPLY,
    NO_WARNING,
    DelayWarning,
    is_same_reply,
    parse_outcome,
    parse_reason,
    parse_warning,
    render_outcome,
    render_reason,
    render_warning,
)
from tests.spool.cases import TEXT, SpoolCase

REPORT = "4Q7BX2K9M3PDW"

REPLIES = st.builds(
    Reply,
    code=st.integers(0, 599),
    status=st.sampled_from(["", "2.0.0", "4.7.500", "5.7.139"]),
    text=TEXT,
)


class OutcomeTests(SynchronousTestCase):
    """How a recipient stands, and why a message is held."""

    @settings(deadline=None, max_examples=200)
    @given(st.sampled_from(Outcome), REPLIES, st.integers(0, 9_999_999_999))
    def test_line_is_of_one_length(self, outcome: Outcome, reply: Reply, at: int) -> None:
        """Any reply makes a line of the same length, one line, and is known again."""
        line = render_outcome(outcome, reply, at)
        self.assertEqual(len(render_outcome(Outcome.PENDING, NO_REPLY, 0)), len(line))
        self.assertRegex(line, rb"\AX-M365GW-Outcome: [ -~]+\r\n\Z")
        letter, known, first = parse_outcome(line)
        self.assertEqual((outcome, float(at)), (letter, first if known != NO_REPLY else float(at)))
        self.assertTrue(is_same_reply(reply, known))

    def test_short_reply_comes_back_whole(self) -> None:
        """A reply of usual length is kept as it was, on one line."""
        reply = Reply(550, "5.1.1", "No such user\nat all")
        line = render_outcome(Outcome.FAILED, reply, 1700000000.9)
        expected = (Outcome.FAILED, Reply(550, "5.1.1", "No such user at all"), 1700000000.0)
        self.assertEqual(expected, parse_outcome(line))
        self.assertEqual(
            (Outcome.PENDING, NO_REPLY, 0.0),
            parse_outcome(render_outcome(Outcome.PENDING, NO_REPLY, 0.0)),
        )

    def test_torn_text_is_only_advice(self) -> None:
        """Garbage in the text costs the reply and nothing else; a garbled letter is damage."""
        line = render_outcome(Outcome.UNCERTAIN, Reply(250, "2.0.0", "OK"), 5.0)
        torn = line[:21] + b"\0\xff" * 80 + line[181:]
        self.assertEqual(Outcome.UNCERTAIN, parse_outcome(torn)[0])
        self.assertRaises(Corrupt, parse_outcome, line.replace(b" U ", b" ? ", 1))

    def test_server_names_do_not_make_a_reply_new(self) -> None:
        """Microsoft ends replies with server, time and session in brackets."""
        one = Reply(554, "5.2.0", "Mailbox unavailable [AM0PR01.example 2024-01-01T00:00:00Z 08DC]")
        other = Reply(
            554, "5.2.0", "Mailbox unavailable [DB9PR02.example 2025-02-02T00:00:00Z 08DD]"
        )
        self.assertTrue(is_same_reply(one, other))
        self.assertFalse(is_same_reply(one, Reply(554, "5.2.0", "Mailbox full [AM0PR01]")))
        self.assertFalse(is_same_reply(one, Reply(550, "5.2.0", "Mailbox unavailable")))

    @settings(deadline=None, max_examples=100)
    @given(TEXT)
    def test_reason_is_of_one_length(self, text: str) -> None:
        """So is a reason."""
        self.assertEqual(len(render_reason("")), len(render_reason(text)))
        self.assertEqual("sign-in needed", parse_reason(render_reason("sign-in\r\n needed")))


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
