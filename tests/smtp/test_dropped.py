"""The format of the maildrop: what is written is read back, and nothing else is."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.dropped import (
    HEAD_LENGTH,
    Dropped,
    NotDropped,
    parse_envelope,
    parse_head,
    render,
)

SIMPLE = Dropped("a@example.com", ("b@example.com", "root"))
# Everything that is printable by our rule: controls and line separators are left out.
texts = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=50)
envelopes = st.builds(
    Dropped,
    sender=st.none() | texts,
    recipients=st.lists(texts, max_size=5).map(tuple),
    full_name=texts,
    eight_bit=st.booleans(),
    notify=st.frozensets(st.sampled_from(["NEVER", "SUCCESS", "FAILURE", "DELAY"])),
    ret=st.sampled_from(["", "FULL", "HDRS"]),
    envid=texts,
)


def envelope(**changes: object) -> bytes:
    """The JSON of a good envelope, with changes."""
    whole = render(SIMPLE, b"")
    return json.dumps(json.loads(whole[HEAD_LENGTH:]) | changes).encode()


class RoundTripTests(SynchronousTestCase):
    @given(envelopes, st.binary(max_size=100))
    def test_what_is_written_is_read(self, dropped: Dropped, content: bytes) -> None:
        """Envelope and content come back as they were."""
        file = render(dropped, content)
        length, size = parse_head(file[:HEAD_LENGTH], len(file))
        self.assertEqual(parse_envelope(file[HEAD_LENGTH : HEAD_LENGTH + length]), dropped)
        self.assertEqual(file[HEAD_LENGTH + length :], content)
        self.assertEqual(size, len(content))

    @given(st.binary(max_size=200), st.integers(0, 300))
    def test_any_octets_are_read_or_refused(self, octets: bytes, size: int) -> None:
        """A user may write anything: it is a message or NotDropped, and nothing else happens."""
        for call in (lambda: parse_head(octets, size), lambda: parse_envelope(octets)):
            try:
                call()
            except NotDropped:
                continue
            self.fail(f"{octets!r} is no message")


class StrictTests(SynchronousTestCase):
    def test_line_ends_and_nuls_in_an_envelope(self) -> None:
        """An address that ends its line would be a command of its own further on."""
        for text in ("a@b\r\nRCPT TO:<c@d>", "a\n", "\0", "a\x1b[m", "\u2028", "\udc80"):
            with self.subTest(text=text):
                with self.assertRaises(NotDropped):
                    render(Dropped(text, ("a@example.com",)), b"")
                for name, value in (
                    ("sender", text),
                    ("recipients", [text]),
                    ("full_name", text),
                    ("envid", text),
                ):
                    with self.assertRaises(NotDropped):
                        parse_envelope(envelope(**{name: value}))

    def test_members_of_the_wrong_kind(self) -> None:
        """Each member is what it should be, and there is no other."""
        for name, value in (
            ("sender", 5),
            ("sender", ["a@example.com"]),
            ("recipients", "a@example.com"),
            ("recipients", [["a@example.com"]]),
            ("recipients", {"a@example.com": 1}),
            ("full_name", None),
            ("full_name", "x" * 1001),
            ("eight_bit", 1),
            ("notify", ["ALWAYS"]),
            ("notify", [["NEVER"]]),
            ("ret", "hdrs"),
            ("uid", 0),
        ):
            with self.subTest(name=name, value=value), self.assertRaises(NotDropped):
                parse_envelope(envelope(**{name: value}))

    def test_json_that_is_made_to_hurt(self) -> None:
        """Deep nesting, huge numbers, what is no object at all."""
        for octets in (b"[" * 100_000, b"null", b"[]", b'"x"', b"1" * 5000, b"{}", b"\xff", b""):
            with self.subTest(octets=octets[:10]), self.assertRaises(NotDropped):
                parse_envelope(octets)

    def test_lengths_must_be_those_of_the_file(self) -> None:
        """A file that was cut off, or has more behind its end, is no message."""
        file = render(SIMPLE, b"content")
        for size in (0, len(file) - 1, len(file) + 1):
            with self.assertRaises(NotDropped):
                parse_head(file, size)
        with self.assertRaisesRegex(NotDropped, "too long"):
            parse_head(b"m365gw-maildrop 1 99999999 000000000001\n", 100_000_040)
