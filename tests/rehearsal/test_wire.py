"""Tests of reading lines and contents."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.rehearsal.wire import (
    ChunkContent,
    DotContent,
    LineTooLong,
    has_bare_line_end,
    header_fields,
    take_line,
)

tricky = st.lists(
    st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"a", b"..", b"\r\n.", b"\0", b"\xff"]),
    max_size=40,
).map(b"".join)


def pieces(octets: bytes, cuts: list[int]) -> list[bytes]:
    """The octets cut at these places."""
    places = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
    return [octets[a:b] for a, b in zip(places, places[1:], strict=False)]


def stuffed(content: bytes) -> bytes:
    """Content as RFC 5321 4.5.2 sends it, by lines and slowly."""
    lines = content.split(b"\r\n")
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines)


class LineTests(SynchronousTestCase):
    """Command lines."""

    def test_line_is_taken_without_its_end(self) -> None:
        """A line leaves the buffer with its CRLF, which is not part of it."""
        buffer = bytearray(b"NOOP\r\nQUI")
        self.assertEqual(take_line(buffer, 100), b"NOOP")
        self.assertIsNone(take_line(buffer, 100))
        self.assertEqual(buffer, b"QUI")

    def test_bare_line_feed_ends_no_line(self) -> None:
        """An LF alone is not an end."""
        self.assertIsNone(take_line(bytearray(b"NOOP\nQUIT\n"), 100))

    def test_endless_line_is_told(self) -> None:
        """What cannot be a line any more is not waited for."""
        with self.assertRaises(LineTooLong):
            take_line(bytearray(b"x" * 100), 100)


class DotContentTests(SynchronousTestCase):
    """Content after DATA."""

    @settings(deadline=None, max_examples=200)
    @given(tricky, tricky, st.lists(st.integers(0, 10_000), max_size=8))
    def test_content_arrives_as_it_was_meant(
        self, content: bytes, behind: bytes, cuts: list[int]
    ) -> None:
        """Whatever the cuts, stuffed content comes back as it was, and the rest is untouched."""
        wanted = content + b"\r\n"
        reader, rest = DotContent(1000), None
        left = b""
        for piece in pieces(stuffed(wanted) + b".\r\n" + behind, cuts):
            if rest is None:
                rest = reader.feed(piece)
            else:
                left += piece
        self.assertEqual(reader.octets(), wanted)
        self.assertEqual((rest or b"") + left, behind)

    def test_empty_content_ends_at_once(self) -> None:
        """A dot right after DATA is an empty message."""
        reader = DotContent(10)
        self.assertEqual(reader.feed(b".\r\nQUIT\r\n"), b"QUIT\r\n")
        self.assertEqual(reader.octets(), b"")

    def test_nothing_but_crlf_dot_crlf_ends(self) -> None:
        """The ends that smuggled mail is made of are content."""
        for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r\n\0.\r\n"):
            self.assertIsNone(DotContent(100).feed(b"a" + end + b"b"), end)

    def test_large_content_is_read_but_not_kept(self) -> None:
        """A message over the limit is read to its end in little memory."""
        reader = DotContent(1000)
        for _ in range(100):
            self.assertIsNone(reader.feed(b"x" * 100))
        self.assertEqual(reader.feed(b"\r\n.\r\nRSET\r\n"), b"RSET\r\n")
        self.assertTrue(reader.too_large)
        self.assertLess(len(reader.octets()), 1000)


class ChunkContentTests(SynchronousTestCase):
    """Content of BDAT."""

    @settings(deadline=None, max_examples=100)
    @given(tricky, tricky, st.lists(st.integers(0, 10_000), max_size=8))
    def test_chunk_takes_its_octets_and_no_more(
        self, content: bytes, behind: bytes, cuts: list[int]
    ) -> None:
        """A chunk is counted, and dots in it mean nothing."""
        reader, rest, left = ChunkContent(10_000), None, b""
        reader.begin(len(content))
        if not content:
            rest = reader.feed(b"")
        for piece in pieces(content + behind, cuts):
            if rest is None:
                rest = reader.feed(piece)
            else:
                left += piece
        self.assertEqual(reader.octets(), content)
        self.assertEqual((rest or b"") + left, behind)

    def test_large_chunk_is_read_but_not_kept(self) -> None:
        """A chunk over the limit is read, and told to be too large."""
        reader = ChunkContent(10)
        reader.begin(20)
        self.assertEqual(reader.feed(b"x" * 25), b"x" * 5)
        self.assertTrue(reader.too_large)
        self.assertEqual(reader.octets(), b"")


class ContentTests(SynchronousTestCase):
    """Looking at a whole message."""

    def test_bare_line_ends_are_seen(self) -> None:
        """CR and LF belong together."""
        self.assertFalse(has_bare_line_end(b"a\r\nb\r\n"))
        for content in (b"a\nb\r\n", b"a\rb\r\n", b"\n", b"a\r\r\n"):
            self.assertTrue(has_bare_line_end(content), content)

    def test_fields_are_unfolded_and_the_body_is_none(self) -> None:
        """Folded fields are one; what looks like a field in the body is not."""
        content = b"From: a@x\r\n b\r\nSubject:\r\n\tx\r\n\r\nTo: no\r\n"
        self.assertEqual(list(header_fields(content)), [("from", "a@x b"), ("subject", "x")])

    def test_message_without_header_has_no_fields(self) -> None:
        """An empty line first means that there is no header."""
        self.assertEqual(list(header_fields(b"\r\nFrom: a@x\r\n")), [])
