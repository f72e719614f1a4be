"""Line ends mended and long lines found, whatever the cuts."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.repair.line_ends import LineEnds, LongLines
from tests.smtp.splits import pieces, wire


def mended(chunks: list[bytes]) -> bytes:
    """These chunks, mended."""
    ends = LineEnds()
    return b"".join([*(ends.feed(chunk) for chunk in chunks), ends.finish()])


class LineEndsTests(SynchronousTestCase):
    """`LineEnds`."""

    @settings(deadline=None, max_examples=300)
    @given(st.data())
    def test_cuts_change_nothing(self, data: st.DataObject) -> None:
        """Any split gives what the whole gives: no bare CR or LF, all other octets as they were."""
        octets = data.draw(wire)
        result = mended(data.draw(pieces(octets)))
        self.assertEqual(result, re.sub(rb"\r\n|\r|\n", b"\r\n", octets))

    def test_tells_whether_there_was_something(self) -> None:
        """Whole line ends are no repair."""
        for octets, is_mended in ((b"a\r\nb\r\n", False), (b"a\nb\r\n", True), (b"a\r", True)):
            ends = LineEnds()
            ends.feed(octets)
            ends.finish()
            self.assertEqual(ends.mended, is_mended, octets)


class LongLinesTests(SynchronousTestCase):
    """`LongLines`."""

    @settings(deadline=None, max_examples=300)
    @given(st.data())
    def test_finds_what_is_there(self, data: st.DataObject) -> None:
        """A line of 999 octets and more, wherever the cuts fall."""
        lengths = data.draw(st.lists(st.sampled_from([0, 1, 997, 998, 999, 2500]), max_size=4))
        octets = b"".join(b"x" * length + b"\r\n" for length in lengths)
        watch = LongLines()
        for chunk in data.draw(pieces(octets)):
            watch.feed(chunk)
        self.assertEqual(watch.found, any(length > 998 for length in lengths))
