"""A header cut into fields and put together again."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.repair.header_fields import HeaderFields, signed_names

LINES = st.lists(
    st.sampled_from(
        [
            *(b"From: a@b.c\r\n", b"Subject:x\n", b" folded\r\n", b"\tfolded\n", b"\r\n", b"\n"),
            *(b"no field\r\n", b"To : x\r\n", b"X-\xe4: y\r\n", b"Date: \xe4\xf6\r\n", b"last"),
        ]
    ),
    max_size=10,
).map(b"".join)


class HeaderFieldsTests(SynchronousTestCase):
    """`HeaderFields`."""

    @settings(deadline=None, max_examples=300)
    @given(LINES)
    def test_what_was_cut_fits_together(self, octets: bytes) -> None:
        """The fields and the rest are the octets that were given."""
        header, length = HeaderFields.parse(octets)
        self.assertEqual(header.octets() + octets[length:], octets)

    def test_fields_are_found_as_written(self) -> None:
        """Names in any letters, folded values, no space behind the colon."""
        header, length = HeaderFields.parse(b"FROM:a@b.c\r\nSubject: one\r\n two\r\n\r\nbody")
        self.assertEqual([one.name for one in header.fields], ["from", "subject"])
        self.assertEqual(header.fields[1].value, b"one two")
        self.assertEqual(length, len(b"FROM:a@b.c\r\nSubject: one\r\n two\r\n\r\n"))
        self.assertEqual(header.blank_line, b"\r\n")

    def test_a_line_that_is_no_field_ends_it(self) -> None:
        """A message that begins with text has no header."""
        header, length = HeaderFields.parse(b"Hello there\r\n\r\n")
        self.assertEqual((header.fields, length, header.blank_line), ((), 0, b""))

    def test_signed_names_are_those_of_all_signatures(self) -> None:
        """The tag h of each DKIM-Signature names what it covers."""
        header, _ = HeaderFields.parse(
            b"DKIM-Signature: v=1; h=From: To :Subject; b=x\r\n"
            b"DKIM-Signature: v=1; b=y;\r\n h=Date:\r\n Message-ID\r\n\r\n"
        )
        expected = {"from", "to", "subject", "date", "message-id"}
        self.assertEqual(signed_names(header), expected)
