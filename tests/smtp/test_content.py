"""Content of DATA and BDAT, cut anywhere."""

import re
import tracemalloc
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.content import ChunkReader, ContentScanner, DataReader, Faults
from tests.smtp.splits import octet_by_octet, pieces, wire

END = b"\r\n.\r\n"
SMUGGLED = b"MAIL FROM:<admin@example.com>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\n"

# The ten false ends that the test tool smtpsmug sends, by the names it has for them.
FALSE_ENDS = {
    "lflf": b"\n.\n",
    "crcr": b"\r.\r",
    "crlf": b"\r.\n",
    "lfcr": b"\n.\r",
    "lfcrlf": b"\n.\r\n",
    "crlflf": b"\r\n.\n",
    "crcrlf": b"\r.\r\n",
    "crlfcr": b"\r\n.\r",
    "nullbefore": b"\r\n\0.\r\n",
    "nullafter": b"\r\n.\0\r\n",
}


class Read(NamedTuple):
    """What a reader made of its octets."""

    content: bytes
    finished: bool
    rest: bytes
    faults: Faults


def read(parts: list[bytes]) -> Read:
    """The parts through a DataReader; what comes behind the end is put to the rest."""
    reader = DataReader()
    content = b"".join([reader.feed(part) for part in parts])
    return Read(content, reader.finished, reader.rest, reader.faults)


def faults_of(parts: list[bytes]) -> Faults:
    """What a scanner saw in these parts of one content."""
    scanner = ContentScanner()
    for part in parts:
        scanner.feed(part)
    return scanner.faults


class DataReaderTests(SynchronousTestCase):
    """The content exactly, and only CRLF.CRLF as its end."""

    def test_content_keeps_its_last_line_end(self) -> None:
        """Of the end only ".CRLF" is taken off; what follows is left for the next commands."""
        self.assertEqual(
            read([b"Subject: a\r\n\r\nb\r\n.\r\nQUIT\r\n"]),
            Read(b"Subject: a\r\n\r\nb\r\n", True, b"QUIT\r\n", Faults()),
        )

    def test_the_end_may_be_the_first_three_octets(self) -> None:
        """A message of no octets is a message."""
        for parts in ([b".\r\nQUIT\r\n"], octet_by_octet(b".\r\nQUIT\r\n")):
            self.assertEqual(read(parts), Read(b"", True, b"QUIT\r\n", Faults()))

    def test_an_empty_line_is_content(self) -> None:
        """One empty line is a message of two octets."""
        self.assertEqual(read([b"\r\n.\r\n"]).content, b"\r\n")

    def test_a_leading_dot_is_taken_away(self) -> None:
        """One dot, at the beginning of a line, also of the first."""
        self.assertEqual(
            read([b"..\r\n.a\r\n...b\r\nc.\r\n.\r\n"]).content, b".\r\na\r\n..b\r\nc.\r\n"
        )

    def test_dots_cut_from_their_lines(self) -> None:
        """CR, LF and dots in chunks of their own mean the same."""
        octets = b"a\r\n..\r\n.b\r\n.\r\nQUIT\r\n"
        self.assertEqual(read(octet_by_octet(octets)), read([octets]))
        self.assertEqual(read([octets]).content, b"a\r\n.\r\nb\r\n")

    def test_a_huge_run_of_dots(self) -> None:
        """A line of dots is a line."""
        run = b"." * 1_000_000
        self.assertEqual(read([run, b"\r\n.\r\n"]).content, run[1:] + b"\r\n")

    def test_a_carriage_return_ends_a_chunk(self) -> None:
        """A CR waits for what follows it before it is called bare."""
        self.assertEqual(read([b"a\r", b"\n.\r", b"\n"]), Read(b"a\r\n", True, b"", Faults()))
        self.assertTrue(read([b"a\r", b"b\r\n.\r\n"]).faults.bare_cr)

    def test_a_body_without_a_header_gets_nothing_added(self) -> None:
        """Server fault 19: a text without a header field passes as it is, with no blank line."""
        self.assertEqual(read([b"just text\r\n.\r\n"]).content, b"just text\r\n")

    def test_false_ends_do_not_end(self) -> None:
        """None of the ten malformed ends stops the reader; the true one behind it does."""
        for name, false_end in FALSE_ENDS.items():
            octets = b"body\r\n" + false_end + SMUGGLED + b"more" + END + b"NOOP\r\n"
            for parts in ([octets], octet_by_octet(octets)):
                result = read(parts)
                self.assertTrue(result.finished, name)
                self.assertEqual(result.rest, b"NOOP\r\n", name)
                self.assertIn(SMUGGLED, result.content, name)
                self.assertTrue(result.faults.any, name)

    def test_false_ends_leave_the_reader_waiting(self) -> None:
        """With nothing behind it a false end is no end either."""
        for name, false_end in FALSE_ENDS.items():
            self.assertFalse(read([b"body", false_end]).finished, name)

    def test_faults_are_told_apart(self) -> None:
        """The session can say which octet it refuses."""
        for octets, faults in {
            b"a\nb\r\n": Faults(bare_lf=True),
            b"a\rb\r\n": Faults(bare_cr=True),
            b"a\r\r\n": Faults(bare_cr=True),
            b"\n\r\n": Faults(bare_lf=True),
            b"\n\r": Faults(bare_cr=True, bare_lf=True),
            b"a\0\r\n": Faults(nul=True),
        }.items():
            self.assertEqual(faults_of([octets]), faults, octets)
            self.assertEqual(faults_of(octet_by_octet(octets)), faults, octets)

    def test_a_long_line_stays_content(self) -> None:
        """Server fault 1: commands behind a body line of any length are content, not commands."""
        line = b"x" * 20_000
        result = read([line, b"\r\n", SMUGGLED, b".\r\nQUIT\r\n"])
        self.assertEqual(result.content, line + b"\r\n" + SMUGGLED)
        self.assertEqual(result.rest, b"QUIT\r\n")
        self.assertEqual(result.faults, Faults())

    def test_memory_does_not_grow_with_the_message(self) -> None:
        """Ten megabytes without a single line end pass through; nothing of them is kept."""
        reader, part = DataReader(), b"x" * 65_536
        reader.feed(part)
        tracemalloc.start()
        for _ in range(160):
            reader.feed(part)
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        self.assertLess(kept, 10_000)
        self.assertEqual(reader.size, 161 * 65_536)

    @settings(deadline=None, max_examples=400)
    @given(data=st.data(), octets=wire)
    def test_cuts_change_nothing(self, data: st.DataObject, octets: bytes) -> None:
        """Content, end, rest and faults are the same wherever the network cuts the octets."""
        whole = read([octets])
        parts = data.draw(pieces(octets))
        for result in (read(parts), read(octet_by_octet(octets))):
            self.assertEqual(result, whole)

    @settings(deadline=None, max_examples=400)
    @given(octets=wire)
    def test_the_plain_model(self, octets: bytes) -> None:
        """Against the words of RFC 5321 4.5.2, applied to the whole with a regular expression."""
        before, end, rest = (b"\r\n" + octets + b"tail\r\n.\r\n").partition(END)
        content = re.sub(rb"\r\n\.", b"\r\n", before + b"\r\n")[2:]
        result = read([octets + b"tail\r\n.\r\n"])
        self.assertEqual((result.content, result.rest), (content, rest))

    @settings(deadline=None, max_examples=400)
    @given(data=st.data(), octets=wire)
    def test_the_plain_model_of_faults(self, data: st.DataObject, octets: bytes) -> None:
        """Faults are those that a look at the whole content finds, however it was cut."""
        self.assertEqual(
            faults_of(data.draw(pieces(octets))),
            Faults(
                bare_cr=bool(re.search(rb"\r(?!\n)", octets)),
                bare_lf=bool(re.search(rb"(?<!\r)\n", octets)),
                nul=b"\0" in octets,
            ),
        )


class ChunkReaderTests(SynchronousTestCase):
    """So many octets, whatever they are."""

    def test_a_chunk_of_no_octets_is_finished(self) -> None:
        """BDAT 0 LAST ends a message without more octets."""
        reader = ChunkReader(0)
        self.assertTrue(reader.finished)
        self.assertEqual((reader.feed(b"QUIT\r\n"), reader.rest), (b"", b"QUIT\r\n"))

    def test_nothing_inside_a_chunk_has_a_meaning(self) -> None:
        """Dots and line ends are octets like others (RFC 3030 2)."""
        octets = b"..\r\n.\r\n\0\r"
        reader = ChunkReader(len(octets))
        self.assertEqual(reader.feed(octets + b"BDAT 1 LAST\r\n"), octets)
        self.assertTrue(reader.finished)
        self.assertEqual(reader.rest, b"BDAT 1 LAST\r\n")

    def test_one_scanner_watches_all_chunks_of_a_message(self) -> None:
        """A CRLF cut in two by a chunk's border is a CRLF."""
        self.assertEqual(faults_of([b"ab", b"cd\r", b"", b"\ne\r\n"]), Faults())

    @settings(deadline=None, max_examples=200)
    @given(data=st.data(), octets=wire, size=st.integers(0, 60))
    def test_cuts_change_nothing(self, data: st.DataObject, octets: bytes, size: int) -> None:
        """The chunk is the first octets and the rest the others."""
        reader = ChunkReader(size)
        chunk = b"".join([reader.feed(part) for part in data.draw(pieces(octets))])
        self.assertEqual((chunk, reader.rest), (octets[:size], octets[size:]))
        self.assertEqual(reader.finished, len(octets) >= size)
