"""Header fields decoded for reading."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.words import escaped
from m365gw.smtp.shown_header import fields


class HeaderTests(SynchronousTestCase):
    """Header fields for reading."""

    def read(self, header: bytes) -> list[tuple[str, str]]:
        return list(fields(header))

    def test_folded_and_encoded_fields_are_decoded(self) -> None:
        """A subject in encoded words over two lines reads as one text."""
        header = b"To: a@b.example\r\nSubject: =?utf-8?q?gr=C3=BC?=\r\n =?utf-8?b?w59l?= !\r\n"
        self.assertEqual(self.read(header), [("To", "a@b.example"), ("Subject", "grüße !")])

    def test_a_fold_is_one_space(self) -> None:
        """A tab at a fold is no part of the text."""
        self.assertEqual(
            list(fields(b"To: a@x.test,\r\n\tb@x.test\r\n")), [("To", "a@x.test, b@x.test")]
        )

    def test_what_cannot_be_decoded_is_shown_as_it_stands(self) -> None:
        """Unknown charsets, broken encodings and bare octets are shown, not hidden."""
        self.assertEqual(self.read(b"A: =?x-no?q?a?=\r\n"), [("A", "=?x-no?q?a?=")])
        self.assertEqual(self.read(b"A: =?utf-8?b?a?=\r\n"), [("A", "=?utf-8?b?a?=")])
        self.assertEqual(self.read(b"A: gr\xfc\xdfe\r\n"), [("A", "gr\\xfc\\xdfe")])
        self.assertEqual(self.read(b"not a field\r\n"), [("(no field)", "not a field")])

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=200))
    def test_nothing_breaks_it(self, header: bytes) -> None:
        """Any octets give some text that can be escaped and printed."""
        for name, value in fields(header):
            self.assertTrue(escaped(name + value).isprintable())
