"""Broken headers mended, whole ones left alone."""

from collections.abc import Iterable
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.utils import getaddresses

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.repair.header_fields import HeaderFields
from m365gw.smtp.repair.header_repair import Facts, Mended, mend

ALL = (
    *("date", "message-id", "repeated", "bcc", "header-text", "display-name"),
    "long-lines",
)
FACTS = Facts(
    message_id="4Q7BX2K9M3PDW@relay.example.com",
    at=datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
)
WHOLE = (
    b"From: Scanner <scan@contoso.com>\r\nto:a@contoso.com\r\nDate: Sat, 21 Nov 2026 09:00:00 +0000"
    b'\r\nMessage-ID: <1@x>\r\nSubject: a @ b\r\nCc: "a@b" <c@d.e>, x@y.z (hm, yes)\r\n\r\n'
)


def mended(octets: bytes, wanted: Iterable[str] = ALL, facts: Facts = FACTS) -> Mended:
    """The header of these octets, mended."""
    header, _ = HeaderFields.parse(octets)
    return mend(header, frozenset(wanted), facts)


def text_of(value: str) -> str:
    """What a mail reader shows of a value."""
    return str(make_header(decode_header(value)))


class HeaderRepairTests(SynchronousTestCase):
    """`mend`."""

    def test_a_whole_header_stays_octet_for_octet(self) -> None:
        """Nothing is broken, so nothing changes, though all repairs are on."""
        result = mended(WHOLE)
        self.assertEqual(result.header.octets(), WHOLE)
        self.assertEqual((result.done, result.left), ((), ()))

    def test_nothing_is_mended_unasked(self) -> None:
        """A broken header goes on as it is when no repair is wanted."""
        broken = b"Subject: \xe4\r\nSubject: b\r\nBcc: c@d.e\r\n\r\n"
        self.assertEqual(mended(broken, ()).header.octets(), broken)

    def test_what_is_missing_is_added(self) -> None:
        """Date and Message-ID, behind what is there."""
        result = mended(b"Subject: x\r\n\r\n")
        self.assertEqual(
            result.header.octets(),
            b"Subject: x\r\nDate: Sat, 21 Nov 2026 09:30:00 +0000\r\n"
            b"Message-ID: <4Q7BX2K9M3PDW@relay.example.com>\r\n\r\n",
        )
        self.assertEqual(set(result.done), {"date", "message-id"})

    def test_a_message_without_header_gets_one(self) -> None:
        """With the blank line that must stand behind it."""
        header, length = HeaderFields.parse(b"Toner is low.\r\n")
        result = mend(header, frozenset(["date"]), FACTS)
        self.assertEqual(length, 0)
        self.assertEqual(result.header.octets(), b"Date: Sat, 21 Nov 2026 09:30:00 +0000\r\n\r\n")

    def test_fields_that_stand_twice_are_taken_away(self) -> None:
        """The first of each stays; those of which there may be several all do."""
        twice = (
            b"Subject: a\r\nReceived: 1\r\nsubject: b\r\nReceived: 2\r\nX-A: 1\r\nX-A: 2\r\n\r\n"
        )
        self.assertEqual(
            mended(twice, ["repeated"]).header.octets(), twice.replace(b"subject: b\r\n", b"")
        )

    def test_bcc_is_taken_away(self) -> None:
        """With all its folded lines, and that of a resent message."""
        hidden = b"To: a@b.c\r\nBcc: x@y.z,\r\n q@r.s\r\nResent-Bcc: t@u.v\r\n\r\n"
        self.assertEqual(mended(hidden, ["bcc"]).header.octets(), b"To: a@b.c\r\n\r\n")

    def test_raw_letters_are_encoded(self) -> None:
        """UTF-8 and Windows-1252 alike; the words of ASCII stay readable."""
        for charset in ("utf-8", "cp1252"):
            raw = "Subject: Re: Grüße aus Köln\r\n\r\n".encode(charset)
            octets = mended(raw, ["header-text"]).header.octets()
            self.assertTrue(octets.isascii())
            self.assertTrue(octets.startswith(b"Subject: Re: =?utf-8?"), octets)
            self.assertEqual(text_of(message_from_bytes(octets)["subject"]), "Re: Grüße aus Köln")

    def test_a_text_made_of_pieces_is_encoded_as_a_whole(self) -> None:
        """It says the same, and is not put together from ten thousand pieces."""
        text = "Tür auf " * 5000
        octets = mended(f"Subject: {text}\r\n\r\n".encode(), ["header-text"]).header.octets()
        said = make_header(decode_header(octets[len("Subject:") :].decode().strip()))
        self.assertEqual(str(said).split(), text.split())
        self.assertNotIn(b" auf", octets)

    def test_raw_letters_in_names_of_addresses_are_encoded(self) -> None:
        """The addresses stay what they are."""
        raw = 'To: Müller, Jörg <j@x.de>, "Ö, P" <o@x.de>, plain@x.de\r\n\r\n'.encode()
        octets = mended(raw, ["header-text"]).header.octets()
        value = message_from_bytes(octets)["to"]
        read = [(text_of(name), address) for name, address in getaddresses([value])]
        self.assertEqual(read, [("Müller, Jörg", "j@x.de"), ("Ö, P", "o@x.de"), ("", "plain@x.de")])

    def test_an_address_beyond_ascii_is_not_guessed_at(self) -> None:
        """No encoded word may stand in an address; the field stays as it is."""
        raw = "To: jörg@x.de\r\n\r\n".encode()
        self.assertEqual(mended(raw, ["header-text"]).header.octets(), raw)

    def test_utf8_stays_when_the_client_declared_it(self) -> None:
        """With SMTPUTF8 the letters are as they should be (RFC 6532)."""
        raw = "Subject: Grüße\r\n\r\n".encode()
        facts = Facts(message_id="x@y", at=FACTS.at, smtputf8=True)
        self.assertEqual(mended(raw, ["header-text"], facts).header.octets(), raw)

    def test_scanner_with_at_in_display_name_is_quoted(self) -> None:
        """Exchange would take the name for the sender, and refuse it."""
        raw = b"From: scanner@office <scan@contoso.com>\r\n\r\n"
        self.assertEqual(
            mended(raw, ["display-name"]).header.octets(),
            b'From: "scanner@office" <scan@contoso.com>\r\n\r\n',
        )

    def test_encoded_and_quoted_names_stay(self) -> None:
        """They hold no bare at sign."""
        raw = b'From: =?utf-8?q?a=40b?= <a@b.c>, "x@y" <d@e.f>, John Q. Public <g@h.i>\r\n\r\n'
        self.assertEqual(mended(raw, ["display-name"]).header.octets(), raw)

    def test_a_signed_field_is_left_alone_and_told(self) -> None:
        """Changing what DKIM covers would break the signature; what it does not cover is mended."""
        raw = (
            b"DKIM-Signature: v=1; h=from:subject; b=x\r\nFrom: a@b <c@d.e>\r\nBcc: x@y.z\r\n"
            b"Subject: \xe4\r\n\r\n"
        )
        result = mended(raw, ["display-name", "header-text", "bcc"])
        self.assertEqual(result.header.octets(), raw.replace(b"Bcc: x@y.z\r\n", b""))
        self.assertEqual(result.done, ("bcc",))
        self.assertEqual(set(result.left), {"display-name", "header-text"})

    def test_long_fields_are_folded(self) -> None:
        """At spaces, so that what is read stays the same."""
        words = b"word " * 600 + b"end"
        octets = mended(b"X-Words: " + words + b"\r\n\r\n", ["long-lines"]).header.octets()
        self.assertLessEqual(max(map(len, octets.split(b"\r\n"))), 998)
        self.assertEqual(HeaderFields.parse(octets)[0].fields[0].value, words)

    def test_a_long_word_is_not_cut(self) -> None:
        """There is no place to fold it."""
        raw = b"X-Token: " + b"x" * 2000 + b"\r\n\r\n"
        self.assertEqual(mended(raw, ["long-lines"]).header.octets(), raw)

    def test_a_field_without_line_end_gets_one(self) -> None:
        """The last chunk of a BDAT need not end with one; what is added is a field of its own."""
        for raw in (b"Subject: x", b"Subject: x\r"):
            result = mended(raw, ["message-id"])
            self.assertEqual(
                result.header.octets(),
                b"Subject: x\r\nMessage-ID: <4Q7BX2K9M3PDW@relay.example.com>\r\n\r\n",
            )

    def test_controls_end_no_line(self) -> None:
        """Python's text ends lines at a form feed and others; a header does not."""
        for control in "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029":
            for title in ("Subject", "To", "X-Any"):
                raw = f"{title}: \xe4 to{control}Bcc: <victim@x.y> {control}x\r\n\r\n".encode()
                fields = mended(raw, ["header-text", "long-lines"]).header.octets().splitlines()
                self.assertEqual(fields.pop(), b"")
                for line in fields[1:]:
                    self.assertIn(line[:1], (b" ", b"\t"), raw)

    def test_no_line_of_a_folded_field_is_blank(self) -> None:
        """A blank line may be taken for the end of the header."""
        raw = b"X-Words: " + b"word " * 190 + b"x" * 60 + b" \r\n more\r\n\r\n"
        octets = mended(raw, ["long-lines"]).header.octets()
        self.assertNotIn(b"\r\n \r\n", octets)
        self.assertLessEqual(max(map(len, octets.split(b"\r\n"))), 998)

    def test_headers_made_to_take_long_do_not(self) -> None:
        """Work grows with the header, not with its square, which took minutes."""
        commas = b"a," * 50_000 + b"b"
        (field,) = mended(b"To: " + commas + b"\r\n\r\n", ["display-name"]).header.fields
        self.assertEqual(field.value, commas)
        names = b"".join(b"X%d: \r\n" % number for number in range(30_000)) + b"\r\n"
        self.assertEqual(len(mended(names, ["repeated"]).header.fields), 30_000)

    @settings(deadline=None, max_examples=200)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    ["Subject", "From", "To", "Date", "Bcc", "X-Any", "DKIM-Signature"]
                ),
                st.binary(max_size=40).map(
                    lambda value: value.replace(b"\r", b" ").replace(b"\n", b"\r\n ")
                ),
            ),
            max_size=6,
        )
    )
    def test_any_header_stays_one(self, fields: list[tuple[str, bytes]]) -> None:
        """Mending adds no line that is no field, and twice is as good as once."""
        raw = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in fields) + b"\r\n"
        once = mended(raw).header
        again, length = HeaderFields.parse(once.octets())
        self.assertEqual(length, len(once.octets()))
        self.assertEqual(mended(once.octets()).header.octets(), again.octets())
