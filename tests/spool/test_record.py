"""The format of a message file."""

import email
from email.policy import SMTP

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.spool.health import Corrupt
from m365gw.spool.record import Composer, block_length, parse
from tests.spool.cases import TEXT

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
