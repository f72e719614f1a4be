"""The header scan: the same result over any split, and bounded whatever comes."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.headers import KEPT_LIMIT, NAMES_LIMIT, HeaderScan, header_of

MESSAGE = (
    b"Received: from a\r\n\tby b; x\r\n"
    b"received : from c\r\n"
    b"From: A <a@example.com>\r\n"
    b"X-Note: not\r\n kept\r\n"
    b"LIST-Id: <l.example.com>\r\n"
    b"Content-Type: multipart/mixed;\r\n\tboundary=x\r\n"
    b"\r\n"
    b"From: this is the body\r\n\r\nand more\r\n"
)


def summary(scan: HeaderScan) -> tuple[object, ...]:
    """All a scan tells."""
    values = {name: scan.values(name) for name in scan.counts}
    return scan.finished, scan.size, dict(scan.counts), values


def scanned(pieces: Sequence[bytes]) -> HeaderScan:
    """The finished scan of a content that came in these pieces."""
    scan = HeaderScan()
    for piece in pieces:
        scan.feed(piece)
    scan.finish()
    return scan


lines = st.sampled_from(
    [
        *(b"From: a", b"Received: b", b" folded", b"\tfolded", b"", b"no field", b"list-x:", b":"),
        *(
            b"X-\xff: 8-bit name",
            b"Subject: \xc3\xa4",
            b"a b: c",
            b"From : spaced",
            b"\r",
            b"\0: x",
        ),
    ]
)
ends = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b""])
contents = st.lists(st.tuples(lines, ends), max_size=12).map(
    lambda parts: b"".join(line + end for line, end in parts)
)


class HeaderScanTests(SynchronousTestCase):
    """What a scan tells of a content."""

    def test_fields_are_counted_and_some_are_kept(self) -> None:
        """Names in any case count as one; values are unfolded; the body is not looked at."""
        scan = header_of(MESSAGE)
        self.assertEqual(scan.received_count, 2)
        self.assertEqual(scan.counts["x-note"], 1)
        self.assertEqual(scan.first("from"), "A <a@example.com>")
        self.assertEqual(scan.first("content-type"), "multipart/mixed;\tboundary=x")
        self.assertEqual(scan.first("list-id"), "<l.example.com>")
        self.assertEqual(scan.first("x-note"), "")
        self.assertEqual(scan.size, MESSAGE.index(b"\r\n\r\n") + 4)

    def test_the_scan_ends_with_the_header(self) -> None:
        """It is finished at the blank line, before the content is over."""
        scan = HeaderScan()
        scan.feed(MESSAGE[:20])
        self.assertFalse(scan.finished)
        self.assertEqual(scan.size, 20)
        scan.feed(MESSAGE[20:])
        self.assertTrue(scan.finished)

    def test_hops_are_counted_while_the_header_passes(self) -> None:
        """A loop is seen before the header ends, and where it never ends."""
        scan = HeaderScan()
        scan.feed(b"Received: x\r\n" * 60)
        self.assertFalse(scan.finished)
        self.assertEqual(scan.received_count, 60)

    def test_content_without_header(self) -> None:
        """A blank first line, a first line that is no field, and nothing at all."""
        table = {b"\r\nbody": 2, b"Hello\r\n\r\nbody": 0, b"": 0, b" x\r\nFrom: a\r\n": 0}
        for content, size in table.items():
            with self.subTest(content=content):
                scan = header_of(content)
                self.assertEqual((dict(scan.counts), scan.size), ({}, size))

    def test_content_without_header_is_known_at_its_first_line(self) -> None:
        """Megabytes of text without a blank line are not taken for a header."""
        scan = HeaderScan()
        scan.feed(b"Hello there\r\n")
        self.assertTrue(scan.finished)
        self.assertEqual(scan.size, 0)

    def test_header_without_blank_line(self) -> None:
        """The header ends before the first line that is no field, or with the content."""
        scan = header_of(b"From: a\r\nHello\r\n\r\n")
        self.assertEqual((scan.size, scan.first("from")), (9, "a"))
        scan = header_of(b"From: a\r\nReceived: b")
        self.assertEqual((scan.size, scan.received_count, scan.finished), (20, 1, True))

    def test_8_bit_values_are_read(self) -> None:
        """UTF-8 is decoded, other octets are replaced, and neither fails."""
        self.assertEqual(header_of(b"From: \xc3\xa4\r\n\r\n").first("from"), "ä")
        self.assertEqual(header_of(b"From: \xe4\r\n\r\n").first("from"), "\ufffd")

    def test_repeated_fields(self) -> None:
        """Two From fields are two, in their order."""
        self.assertEqual(header_of(b"From: a\r\nFROM: b\r\n\r\n").values("from"), ["a", "b"])

    def test_memory_is_bounded(self) -> None:
        """Neither one long line, nor many values, nor many names are kept whole."""
        scan = HeaderScan()
        for _ in range(200):
            scan.feed(b"From: " + b"x" * 10000)
        scan.feed(b"\r\n" + b"Date: y\r\n" * 20000)
        scan.feed(b"".join(b"X-%d: z\r\n" % number for number in range(3000)))
        scan.feed(b"Received: r\r\n\r\n")
        kept = sum(len(value) for name in ("from", "date") for value in scan.values(name))
        self.assertLessEqual(kept, KEPT_LIMIT)
        self.assertLess(len(scan.values("date")), 2000)
        self.assertLessEqual(len(scan.counts), NAMES_LIMIT + 1)
        self.assertEqual((scan.received_count, scan.counts["date"]), (1, 20000))

    @settings(deadline=None, max_examples=400)
    @given(contents, st.lists(st.integers(0, 200), max_size=8))
    def test_any_split_gives_the_same(self, content: bytes, places: list[int]) -> None:
        """How the content is cut never changes what is told."""
        marks = [0, *sorted(place % (len(content) + 1) for place in places), len(content)]
        pieces = [content[a:b] for a, b in zip(marks, marks[1:], strict=False)]
        self.assertEqual(summary(scanned(pieces)), summary(header_of(content)))

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=200))
    def test_no_content_makes_it_fail(self, content: bytes) -> None:
        """Any octets give a size within the content, octet by octet as well."""
        scan = header_of(content)
        self.assertTrue(scan.finished and 0 <= scan.size <= len(content))
        pieces = [content[i : i + 1] for i in range(len(content))]
        self.assertEqual(summary(scanned(pieces)), summary(scan))
