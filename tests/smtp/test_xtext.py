"""xtext, strictly."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp import xtext
from m365gw.smtp.replies import Refused

printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)


class XtextTests(SynchronousTestCase):
    """RFC 3461 4."""

    def test_what_is_quoted(self) -> None:
        """The plus sign itself must be quoted on output, as must "=" and the space."""
        self.assertEqual(xtext.encode("a+b=c d"), "a+2Bb+3Dc+20d")
        self.assertEqual(xtext.decode("a+2Bb+3Dc+20d"), "a+b=c d")
        self.assertEqual(xtext.decode("+2B41"), "+41")

    def test_hidden_controls_are_refused(self) -> None:
        """NUL, CR, LF, DEL or an octet beyond ASCII is no text, however it is encoded."""
        for text in ("a+00", "+0D+0A", "a+0Ab", "a+09", "+7F", "+80", "+FF"):
            refused = self.assertRaises(Refused, xtext.decode, text)
            self.assertEqual((refused.reply.code, refused.reply.status), (501, "5.5.4"))

    def test_what_is_not_xtext_is_refused(self) -> None:
        """Half an escape, small letters in it, raw specials."""
        for text in ("", "+", "+4", "a+4g", "a+2b", "a=b", "a b", "ü", "+\uff11\uff11"):
            self.assertRaises(Refused, xtext.decode, text)

    def test_what_cannot_be_encoded(self) -> None:
        """A caller with controls or UTF-8 in hand hears of it before the wire does."""
        for text in ("", "a\r\n", "a\0", "ü"):
            self.assertRaises(ValueError, xtext.encode, text)

    @settings(deadline=None, max_examples=200)
    @given(text=printable)
    def test_what_is_encoded_is_decoded(self, text: str) -> None:
        """Any printable text comes back, and on the way has neither space nor "="."""
        encoded = xtext.encode(text)
        self.assertFalse(set(encoded) & set(" ="))
        self.assertEqual(xtext.decode(encoded), text)

    @settings(deadline=None, max_examples=300)
    @given(text=st.text("+0129AFaf=\\x{}; ü\0", max_size=12))
    def test_only_refused_is_raised(self, text: str) -> None:
        """Whatever the text, it is decoded to something printable or refused."""
        for decode in (xtext.decode, xtext.decode_recipient):
            try:
                decoded = decode(text)
            except Refused:
                continue
            self.assertTrue(decoded.isprintable())


class RecipientTests(SynchronousTestCase):
    """The original recipient (RFC 3461 4.2, RFC 6533 3)."""

    def test_types_other_than_utf8_are_xtext(self) -> None:
        """The type stays as it is written."""
        self.assertEqual(xtext.decode_recipient("rfc822;a+2Bb@c.d"), "rfc822;a+b@c.d")
        self.assertEqual(xtext.encode_recipient("RFC822;a+b@c.d"), "RFC822;a+2Bb@c.d")
        self.assertEqual(xtext.decode_recipient("x400;/C+3Dde/"), "x400;/C=de/")

    def test_type_utf8_has_code_points(self) -> None:
        r"""Beyond ASCII, and for the three specials, there is \x{...}; UTF-8 as it is passes."""
        for value in ("utf-8;j\\x{FC}rgen@b.c", "utf-8;jürgen@b.c"):
            self.assertEqual(xtext.decode_recipient(value), "utf-8;jürgen@b.c")
        self.assertEqual(
            xtext.encode_recipient("UTF-8;ü+=\\ 日"),
            "UTF-8;\\x{FC}\\x{2B}\\x{3D}\\x{5C}\\x{20}\\x{65E5}",
        )

    def test_postfix_calls_utf8_rfc822(self) -> None:
        """It knows one type only: what it says is understood, and passed on as RFC 6533 has it."""
        value = "rfc822;j+C3+BCrgen@b+C3+BCcher.example"
        self.assertEqual(xtext.decode_recipient(value), "utf-8;jürgen@bücher.example")
        for value in ("rfc822;j+FCrgen@b.c", "rfc822;+C2+85@b.c", "rfc822;+E2+80+A8@b.c"):
            self.assertRaises(Refused, xtext.decode_recipient, value)

    def test_what_is_malformed_is_refused(self) -> None:
        """No type, no address, controls or nonsense in either encoding."""
        for value in (
            "",
            "rfc822",
            "rfc822;",
            ";a@b",
            "a b;c",
            "rfc822;a+00@b",
            "rfc822;ü@b",
            "utf-8;",
            "utf-8;a+b",
            "utf-8;\\x{0}",
            "utf-8;\\x{00}",
            "utf-8;\\x{0A}",
            "utf-8;\\x{85}",
            "utf-8;\\x{2028}",
            "utf-8;\\x{D800}",
            "utf-8;\\x{110000}",
            "utf-8;\\x{FFFFFF}",
            "utf-8;\\xFC",
            "utf-8;a\\b",
        ):
            refused = self.assertRaises(Refused, xtext.decode_recipient, value)
            self.assertEqual(refused.reply.code, 501, value)

    def test_what_cannot_be_encoded(self) -> None:
        """Neither without a type nor with controls."""
        for orcpt in ("", "a@b.c", "rfc822;", "rfc822;a\0", "rfc822;ü", "utf-8;", "utf-8;a\x85"):
            self.assertRaises(ValueError, xtext.encode_recipient, orcpt)

    @settings(deadline=None, max_examples=200)
    @given(kind=st.sampled_from(["rfc822", "utf-8"]), text=printable)
    def test_what_is_encoded_is_decoded(self, kind: str, text: str) -> None:
        """Either type gives printable text back."""
        orcpt = f"{kind};{text}"
        self.assertEqual(xtext.decode_recipient(xtext.encode_recipient(orcpt)), orcpt)
