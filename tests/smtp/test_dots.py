"""Transparency of outbound DATA."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.content import DataReader
from m365gw.smtp.dots import DotStuffer
from tests.smtp.splits import content, octet_by_octet, pieces, wire


def stuff(parts: list[bytes]) -> bytes:
    """The parts on the wire, with the end of the message."""
    stuffer = DotStuffer()
    return b"".join([stuffer.feed(part) for part in parts] + [stuffer.finish()])


class DotStufferTests(SynchronousTestCase):
    """No content can end its own message."""

    def test_a_dot_first_of_all_is_doubled(self) -> None:
        """The first line is a line too."""
        self.assertEqual(stuff([b".\r\n"]), b"..\r\n.\r\n")

    def test_a_dot_first_in_a_chunk_is_doubled(self) -> None:
        """Client fault: the 16,384th octet ends a line and the dot begins the next chunk."""
        line = b"x" * 16_382 + b"\r\n"
        self.assertEqual(
            stuff([line, b".\r\nMAIL FROM:<evil@example.net>\r\n"]),
            line + b"..\r\nMAIL FROM:<evil@example.net>\r\n.\r\n",
        )

    def test_each_octet_in_a_chunk_of_its_own(self) -> None:
        """CR, LF and dot may come in three chunks."""
        self.assertEqual(stuff(octet_by_octet(b"a\r\n.\r\n..\r\n")), b"a\r\n..\r\n...\r\n.\r\n")

    def test_dots_elsewhere_are_left_alone(self) -> None:
        """Behind a bare CR or LF a dot begins no line, and the receiver takes none away."""
        octets = b"a.b\n.c\r.d\r\n"
        self.assertEqual(stuff([octets]), octets + b".\r\n")

    def test_a_run_of_dots_gets_one_more(self) -> None:
        """However many dots a line has, one is added."""
        run = b"." * 100_000
        self.assertEqual(stuff([run[:5], run[5:], b"\r\n"]), b"." + run + b"\r\n.\r\n")

    def test_the_last_line_gets_its_end_only_when_it_has_none(self) -> None:
        """The final dot always stands on a line of its own; nothing else is added."""
        self.assertEqual(stuff([b"a\r\n"]), b"a\r\n.\r\n")
        self.assertEqual(stuff([b"a\r", b"\n"]), b"a\r\n.\r\n")
        self.assertEqual(stuff([b"a"]), b"a\r\n.\r\n")
        self.assertEqual(stuff([b"a\r"]), b"a\r\r\n.\r\n")
        self.assertEqual(stuff([b"a\n"]), b"a\n\r\n.\r\n")

    def test_an_empty_message_is_the_dot_alone(self) -> None:
        """Without content the line before the dot is that of DATA."""
        self.assertEqual(stuff([]), b".\r\n")
        self.assertEqual(stuff([b"", b""]), b".\r\n")

    @settings(deadline=None, max_examples=300)
    @given(data=st.data(), octets=wire)
    def test_cuts_change_nothing(self, data: st.DataObject, octets: bytes) -> None:
        """The wire is the same wherever the spool's chunks end."""
        whole = stuff([octets])
        self.assertEqual(stuff(data.draw(pieces(octets))), whole)
        self.assertEqual(stuff(octet_by_octet(octets)), whole)

    @settings(deadline=None, max_examples=300)
    @given(octets=st.one_of(wire, st.binary(max_size=60)))
    def test_the_end_is_on_the_wire_once(self, octets: bytes) -> None:
        """Whatever the content, CRLF.CRLF stands at the end and nowhere before."""
        wired = b"\r\n" + stuff([octets])
        self.assertEqual(wired.find(b"\r\n.\r\n"), len(wired) - 5)

    @settings(deadline=None, max_examples=300)
    @given(data=st.data(), octets=content)
    def test_unstuffing_gives_the_content_back(self, data: st.DataObject, octets: bytes) -> None:
        """Stuffed in any chunks and read in any others, content comes through octet for octet."""
        reader = DataReader()
        wired = stuff(data.draw(pieces(octets)))
        read = b"".join(reader.feed(part) for part in data.draw(pieces(wired)))
        self.assertTrue(reader.finished)
        self.assertEqual((read, reader.rest), (octets, b""))
