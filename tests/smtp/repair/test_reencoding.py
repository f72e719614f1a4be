"""Parts with over-long lines: found, encoded anew, and read as before."""

from collections.abc import Iterable
from email import message_from_bytes
from email.message import Message

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.repair.mime_parts import PIECE_LIMIT, PartReader
from m365gw.smtp.repair.reencoding import reencode, survey
from tests.smtp.splits import pieces

LONG = b"<p>" + b"caf\xc3\xa9 = tea. " * 200 + b"</p>"
HTML = b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
BINARY = b"Content-Type: application/octet-stream\r\n\r\n"


def multipart(*parts: bytes, kind: bytes = b"mixed") -> bytes:
    """A message of these parts."""
    head = b"MIME-Version: 1.0\r\nContent-Type: multipart/" + kind + b'; boundary="=_b 1"\r\n\r\n'
    bodies = b"".join(b"--=_b 1\r\n" + part + b"\r\n" for part in parts)
    return head + b"preamble\r\n" + bodies + b"--=_b 1--\r\nepilogue\r\n"


def mended(octets: bytes, chunks: Iterable[bytes] | None = None) -> bytes:
    """The message with what is to be encoded anew encoded anew."""
    return b"".join(reencode(chunks or [octets], survey([octets]).parts))


def longest(octets: bytes) -> int:
    """Its longest line, without the end."""
    return max(map(len, octets.split(b"\r\n")))


def leaves(octets: bytes) -> list[bytes]:
    """What a mail reader gets of each part that is no container."""

    def payload(part: Message) -> bytes:
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        return content

    return [payload(part) for part in message_from_bytes(octets).walk() if not part.is_multipart()]


class ReencodingTests(SynchronousTestCase):
    """`survey` and `reencode`."""

    def check(self, octets: bytes) -> bytes:
        """It is read as before, and no line is too long."""
        result = mended(octets)
        self.assertLessEqual(longest(result), 998)
        self.assertEqual(leaves(result), leaves(octets))
        return result

    def test_long_text_becomes_quoted_printable(self) -> None:
        """A message of one part; MIME-Version is added, without which the encoding is not read."""
        result = self.check(b"Subject: x\r\n" + HTML + LONG + b"\r\nshort \r\n.\r\n")
        self.assertIn(b"Content-Transfer-Encoding: quoted-printable\r\n", result)
        self.assertIn(b"MIME-Version: 1.0\r\n", result)
        self.assertNotIn(b"8bit", result)

    def test_only_the_part_with_the_long_line_changes(self) -> None:
        """Its neighbours, the boundaries, preamble and epilogue stay octet for octet."""
        plain = b"Content-Type: text/plain\r\n\r\nshort\r\n"
        octets = multipart(plain, HTML + LONG + b"\r\n", plain)
        before, after = self.check(octets).split(HTML.partition(b";")[0], 1)
        self.assertTrue(octets.startswith(before))
        self.assertTrue(
            after.endswith(b"\r\n--=_b 1\r\n" + plain + b"\r\n--=_b 1--\r\nepilogue\r\n")
        )

    def test_what_is_no_text_becomes_base64(self) -> None:
        """Octets of a file are octets."""
        octets = multipart(BINARY + bytes(range(14, 256)) * 8 + b"\r\n")
        self.assertIn(b"Content-Transfer-Encoding: base64\r\n", self.check(octets))

    def test_encoded_parts_only_get_their_lines_cut(self) -> None:
        """Base64 and quoted-printable with endless lines, as some programs write them."""
        for encoding, body in ((b"base64", b"QUJD" * 1000), (b"quoted-printable", b"a=3Db" * 800)):
            part = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: " + encoding
            self.check(multipart(part + b"\r\n\r\n" + body + b"\r\n"))

    def test_an_endless_line_comes_in_pieces(self) -> None:
        """Longer than what is held in memory."""
        self.check(b"Subject: x\r\n" + HTML + LONG * 60 + b"\r\n")

    def test_nothing_is_cut_in_two_between_pieces(self) -> None:
        """A line end, or an octet in quoted-printable, may lie where a piece ends."""
        quoted = HTML.replace(b"8bit", b"quoted-printable")
        for shift in range(4):
            plain = b"x" * (PIECE_LIMIT - 1 + shift) + b"\r\nend\r\n"
            self.assertEqual(leaves(mended(HTML + plain)), [plain])
            coded = b"x" * shift + b"=41" * (PIECE_LIMIT // 3 + 1) + b"\r\n"
            expected = b"x" * shift + b"A" * (PIECE_LIMIT // 3 + 1) + b"\r\n"
            self.assertEqual(leaves(mended(quoted + coded)), [expected])

    def test_a_content_type_nobody_can_read_is_left_alone(self) -> None:
        """One that is made to take minutes, and a boundary that is no text."""
        for kind in (
            b'multipart/mixed; x="' + b";" * 60_000 + b'"',
            b"multipart/mixed; boundary*=utf-7''+2AA-",
        ):
            octets = b"Content-Type: " + kind + b"\r\n\r\n" + b"Hello.\r\n"
            self.assertEqual(mended(octets), octets)
        sealed = survey([b"Content-Type: a/b; " + b"x=y; " * 1000 + b"\r\n\r\n" + LONG])
        self.assertEqual((sealed.parts, sealed.is_sealed), (frozenset(), True))

    def test_inside_a_message_in_a_message(self) -> None:
        """A forwarded message keeps its header; its long part is encoded anew."""
        forwarded = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n" + HTML + LONG + b"\r\n"
        self.check(multipart(forwarded))

    def test_signed_parts_are_left_alone_and_told(self) -> None:
        """S/MIME, PGP and DKIM: a new encoding would break the signature."""
        signature = b"Content-Type: application/pgp-signature\r\n\r\nx\r\n"
        for octets in (
            multipart(HTML + LONG + b"\r\n", signature, kind=b"signed"),
            multipart(multipart(HTML + LONG + b"\r\n"), signature, kind=b"signed"),
            b"DKIM-Signature: v=1\r\n" + HTML + LONG + b"\r\n",
        ):
            found = survey([octets])
            self.assertTrue(found.is_sealed)
            self.assertEqual(mended(octets), octets)

    def test_short_lines_are_nothing_to_do(self) -> None:
        """998 octets are allowed (RFC 5322 2.1.1)."""
        found = survey([b"Subject: x\r\n\r\n" + b"x" * 998 + b"\r\n"])
        self.assertEqual((found.parts, found.is_sealed), (frozenset(), False))

    @settings(deadline=None, max_examples=150)
    @given(st.data())
    def test_put_together_it_is_what_came(self, data: st.DataObject) -> None:
        """The reader of parts loses and adds nothing, and cuts change nothing."""
        line = st.sampled_from(
            [
                *(b"--b\r\n", b"--b--\r\n", b"--c\r\n", b"--c--\r\n", b"\r\n", b"text\r\n", b"\n"),
                b'Content-Type: multipart/mixed; boundary="b"\r\n',
                b"Content-Type: multipart/signed; boundary=c\r\n",
                b"Content-Type: message/rfc822\r\n",
                b"x" * 1200 + b"\r\n",
                b"--",
            ]
        )
        octets = b"".join(data.draw(st.lists(line, max_size=25)))
        reader = PartReader()
        found = []
        for chunk in data.draw(pieces(octets)):
            found += reader.feed(chunk)
        found += reader.finish()
        self.assertEqual(b"".join(piece.octets for piece in found), octets)
        self.assertEqual(mended(octets), mended(octets, data.draw(pieces(octets))))
