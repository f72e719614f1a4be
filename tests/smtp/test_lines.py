"""Command lines, cut anywhere."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.lines import BareLineEnd, LineFault, LineReader, LineTooLong
from tests.smtp.splits import octet_by_octet, pieces, wire

Event = bytes | type[Exception]


def drain(reader: LineReader) -> list[Event]:
    """Every line and every fault there is now."""
    events: list[Event] = []
    while True:
        try:
            line = reader.next()
        except (BareLineEnd, LineTooLong) as refused:
            events.append(type(refused))
        else:
            if line is None:
                return events
            events.append(line)


def read(parts: list[bytes], limit: int = 64) -> list[Event]:
    """The events of these parts, each read out before the next comes."""
    reader, events = LineReader(limit), []
    for part in parts:
        reader.feed(part)
        events += drain(reader)
    return events


class LineReaderTests(SynchronousTestCase):
    """Only CRLF ends a line, and a refused line is refused to its end."""

    def test_lines_come_without_their_crlf(self) -> None:
        """Pipelined commands come out one by one, in order."""
        self.assertEqual(read([b"NOOP\r\n\r\nQUIT\r\nre"]), [b"NOOP", b"", b"QUIT"])

    def test_a_line_of_the_limit_passes(self) -> None:
        """The limit counts the CRLF, as RFC 5321 4.5.3.1.4 does."""
        self.assertEqual(read([b"a" * 62 + b"\r\n"]), [b"a" * 62])
        self.assertEqual(read([b"a" * 63 + b"\r\n"]), [LineTooLong])

    def test_the_rest_of_a_long_line_is_no_command(self) -> None:
        """What follows inside an over-long line is swallowed up to its CRLF, and only that."""
        long = b"x" * 100 + b" MAIL FROM:<a@b.c>\r\nNOOP\r\n"
        for parts in ([long], octet_by_octet(long)):
            self.assertEqual(read(parts), [LineTooLong, b"NOOP"])

    def test_a_bare_line_feed_is_refused(self) -> None:
        """A command hidden behind a bare LF is not run, nor is the one before it."""
        self.assertEqual(read([b"EHLO x\nMAIL FROM:<a@b.c>\r\nNOOP\r\n"]), [BareLineEnd, b"NOOP"])

    def test_bare_line_feeds_are_answered_at_once(self) -> None:
        """A client that knows only LF hears of it for each line, instead of waiting for ever."""
        self.assertEqual(read([b"EHLO x\n", b"MAIL FROM:<a@b.c>\n"]), [BareLineEnd, BareLineEnd])

    def test_a_bare_carriage_return_is_refused(self) -> None:
        """A CR that no LF follows makes the line no command."""
        self.assertEqual(read([b"NOOP\rQUIT\r\nRSET\r\n"]), [BareLineEnd, b"RSET"])
        self.assertEqual(read([b"NOOP\r\r\n"]), [BareLineEnd])

    def test_nul_is_refused(self) -> None:
        """A NUL makes the line no command."""
        self.assertEqual(read([b"NO\0OP\r\nRSET\r\n"]), [BareLineEnd, b"RSET"])

    def test_faults_know_their_reply(self) -> None:
        """Both faults are 500, so the session needs no table for them."""
        self.assertEqual(BareLineEnd(b"NOOP").reply.code, 500)
        self.assertEqual(LineTooLong(b"NOOP", 512).reply.code, 500)
        self.assertIn("512", LineTooLong(b"NOOP", 512).reply.text)

    def test_faults_know_the_verb(self) -> None:
        """What follows a broken BDAT is no command, so the session must know that it was one."""
        for wrong in (b"bdat 5\nhello\r\n", b"bdat 5\rhello\r\n", b"bdat " + b"5" * 64):
            for parts in ([wrong], octet_by_octet(wrong)):
                reader = LineReader(64)
                with self.assertRaises(LineFault) as caught:
                    for part in parts:
                        reader.feed(part)
                        reader.next()
                self.assertEqual(caught.exception.verb, b"BDAT")

    def test_the_limit_may_change_between_lines(self) -> None:
        """AUTH allows longer lines than commands are."""
        reader = LineReader(16)
        reader.feed(b"AUTH PLAIN\r\n" + b"Q" * 40 + b"\r\nNOOP\r\n")
        self.assertEqual(reader.next(), b"AUTH PLAIN")
        reader.limit = 64
        self.assertEqual(reader.next(), b"Q" * 40)
        reader.limit = 16
        self.assertEqual(reader.next(), b"NOOP")

    def test_the_rest_is_handed_over(self) -> None:
        """DATA and BDAT take what came behind their command, and nothing stays here."""
        reader = LineReader(64)
        content = b"Subject: x\r\n\r\n.\r\nQUIT\r\n"
        reader.feed(b"DATA\r\n" + content)
        self.assertEqual(reader.next(), b"DATA")
        self.assertEqual(reader.buffered, len(content))
        self.assertEqual(reader.take_rest(), content)
        self.assertEqual(reader.buffered, 0)
        self.assertIsNone(reader.next())
        reader.feed(b"QUIT\r\n")
        self.assertEqual(reader.next(), b"QUIT")

    def test_an_endless_line_takes_no_memory(self) -> None:
        """Server fault 11: two megabytes without a line end are one 500 and are not kept."""
        reader, events = LineReader(512), []
        for _ in range(2000):
            reader.feed(b"x" * 1000)
            events += drain(reader)
        self.assertEqual(events, [LineTooLong])
        self.assertLess(reader.buffered, 512)

    @settings(deadline=None, max_examples=300)
    @given(data=st.data(), octets=wire, limit=st.integers(2, 12))
    def test_cuts_change_nothing(self, data: st.DataObject, octets: bytes, limit: int) -> None:
        """Lines and faults are the same wherever the network cuts the octets."""
        whole = read([octets], limit)
        self.assertEqual(read(data.draw(pieces(octets)), limit), whole)
        self.assertEqual(read(octet_by_octet(octets), limit), whole)

    @settings(deadline=None, max_examples=200)
    @given(octets=wire, limit=st.integers(2, 12))
    def test_only_what_stands_between_two_crlf_is_a_line(self, octets: bytes, limit: int) -> None:
        """The plainest model: split at CRLF, drop what is too long or holds a bare octet."""
        good = [
            line
            for line in octets.split(b"\r\n")[:-1]
            if len(line) + 2 <= limit and not set(line) & set(b"\r\n\0")
        ]
        lines = [event for event in read([octets], limit) if isinstance(event, bytes)]
        self.assertEqual(lines, good)
