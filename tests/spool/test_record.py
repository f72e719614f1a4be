"""The format of a message file."""

import email
from email.policy import SMTP

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome
from m365gw.spool.health import Corrupt
from m365gw.spool.record import (
    NO_REPLY,
    Composer,
    block_length,
    is_same_reply,
    parse,
    parse_outcome,
    parse_reason,
    render_outcome,
    render_reason,
)

HOSTILE = "a\r\nX-M365GW-Spool: 1\r\n\r\n.\r\n\0\x85\u2028é\udcff"
TEXT = st.one_of(st.text(max_size=40), st.just(HOSTILE), st.text(min_size=300, max_size=500))
RECIPIENTS = st.builds(
    Recipient,
    address=TEXT,
    notify=st.frozensets(st.sampled_from(["NEVER", "SUCCESS", "FAILURE", "DELAY"])),
    orcpt=TEXT,
)
ENVELOPES = st.builds(
    Envelope,
    sender=TEXT,
    recipients=st.lists(RECIPIENTS, max_size=5).map(tuple),
    eight_bit=st.booleans(),
    smtputf8=st.booleans(),
    ret=st.sampled_from(["", "FULL", "HDRS"]),
    envid=TEXT,
)
ORIGINS = st.builds(Origin, client=TEXT, port=st.integers(0, 65535), helo=TEXT, login=TEXT)
REPLIES = st.builds(
    Reply,
    code=st.integers(0, 599),
    status=st.sampled_from(["", "2.0.0", "4.7.500", "5.7.139"]),
    text=TEXT,
)
ENVELOPE = Envelope("a@example.com", (Recipient("b@example.net"),))


class BlockTests(SynchronousTestCase):
    """The block before the message."""

    @settings(deadline=None, max_examples=100)
    @given(ENVELOPES, ORIGINS)
    def test_block_gives_the_envelope_back(self, envelope: Envelope, origin: Origin) -> None:
        """Whatever the values hold, they come back equal."""
        composer = Composer(envelope, origin)
        block = composer.compose(1 << 60, 77, 0xABCD)
        self.assertEqual(composer.length, len(block))
        self.assertEqual(len(block), block_length(block + b"message"))
        found = parse(block)
        self.assertEqual((envelope, origin), (found.envelope, found.origin))
        self.assertEqual((1 << 60, 77, 0xABCD), (found.id, found.size, found.message_crc))

    @settings(deadline=None, max_examples=100)
    @given(ENVELOPES, ORIGINS)
    def test_file_is_a_message(self, envelope: Envelope, origin: Origin) -> None:
        """Nothing from outside ends a line: the block is header fields and no others."""
        block = Composer(envelope, origin).compose(1, 2, 3)
        self.assertTrue(block.isascii())
        lines = block.split(b"\r\n")
        self.assertEqual(b"", lines.pop())
        for line in lines:
            self.assertRegex(line, rb"\A(X-M365GW-[A-Z][a-z]+: | \")[ -~]*\Z")
        self.assertEqual(b"\r\n".join(lines).count(b"\n"), len(lines) - 1)

    def test_lines_are_short_enough(self) -> None:
        """A recipient with all its wishes at their longest still fits (RFC 5322 2.1.1)."""
        longest = Recipient("é" * 160, frozenset({"SUCCESS", "FAILURE", "DELAY"}), "x" * 500)
        block = Composer(Envelope("b" * 320, (longest,), envid="c" * 100), Origin("")).compose(
            1, 2, 3
        )
        self.assertLess(max(map(len, block.split(b"\r\n"))), 999)
        self.assertEqual(longest, parse(block).envelope.recipients[0])

    def test_fields_of_ours_in_the_message_mean_nothing(self) -> None:
        """The block is found by its length; the message's own copies of it are only content."""
        block = Composer(ENVELOPE, Origin("192.0.2.1")).compose(1, 2, 3)
        forged = Composer(Envelope("evil@example.com", ()), Origin("")).compose(1, 2, 3)
        file = block + forged + b"Subject: x\r\n\r\n"
        self.assertEqual(ENVELOPE, parse(file[: block_length(file)]).envelope)
        message = email.message_from_bytes(file, policy=SMTP)
        self.assertEqual("x", message["Subject"])

    @settings(deadline=None, max_examples=200)
    @given(st.data())
    def test_any_damage_is_found(self, data: st.DataObject) -> None:
        """A flipped bit anywhere in what never changes is Corrupt."""
        block = bytearray(Composer(ENVELOPE, Origin("192.0.2.1")).compose(1 << 60, 2, 3))
        at = data.draw(st.integers(0, parse(bytes(block)).changing - 1))
        block[at] ^= 1 << data.draw(st.integers(0, 7))
        self.assertRaises(Corrupt, parse, bytes(block))

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=300), st.integers(0, 2000))
    def test_rubbish_is_corrupt(self, rubbish: bytes, cut: int) -> None:
        """Nothing but Corrupt comes of rubbish, also behind a beginning that is right."""
        block = Composer(ENVELOPE, Origin("")).compose(1, 2, 3)
        self.assertRaises(Corrupt, parse, rubbish)
        self.assertRaises(Corrupt, parse, block[: min(cut, len(block) - 1)] + rubbish[:0])
        self.assertRaises(Corrupt, block_length, rubbish)


class OutcomeTests(SynchronousTestCase):
    """What changes in place."""

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
