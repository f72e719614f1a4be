"""Replies read by the client side."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.replies import Reply, render
from m365gw.smtp.reply_reader import REPLY_LIMIT, ReplyError, ReplyReader


def read(*pieces: bytes) -> tuple[list[Reply], str]:
    """The replies, and the words of the error that ended the reading, or ""."""
    reader, replies = ReplyReader(), []
    for piece in pieces:
        try:
            replies += reader.feed(piece)
        except ReplyError as error:
            return replies + list(error.replies), str(error)
    return replies, ""


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """`data` cut at these places."""
    marks = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in zip(marks, marks[1:], strict=False)]


# Without a status, text that begins like one would be one: "250 2.0.0" says nothing else.
texts = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=30)
words = texts.filter(lambda text: not text[:1].isdigit())


def joined(lines: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts of one to four lines."""
    return st.lists(lines, min_size=1, max_size=4).map("\n".join)


replies = st.one_of(
    st.builds(Reply, st.integers(200, 599), st.just(""), joined(words)),
    st.builds(Reply, st.integers(200, 299), st.sampled_from(["2.1.5", "2.0.0"]), joined(texts)),
    st.builds(Reply, st.integers(500, 599), st.sampled_from(["5.7.139"]), joined(texts)),
)


class ReplyReaderTests(SynchronousTestCase):
    """Tolerant reading, strict bounds."""

    def test_one_line(self) -> None:
        """Code, status and text are taken apart."""
        self.assertEqual(read(b"250 2.0.0 OK\r\n"), ([Reply(250, "2.0.0", "OK")], ""))

    def test_many_lines_are_one_reply(self) -> None:
        """The status is taken from each line that repeats it."""
        wire = b"550-5.7.1 No\r\n550-5.7.2 x\r\n550 5.7.1 Never\r\n"
        self.assertEqual(read(wire), ([Reply(550, "5.7.1", "No\n5.7.2 x\nNever")], ""))

    def test_several_replies_in_one_piece(self) -> None:
        """Pipelined replies come out in order."""
        replies, _ = read(b"250 a\r\n550 b\r\n354 c\r\n")
        self.assertEqual([reply.code for reply in replies], [250, 550, 354])

    def test_status_of_another_class_is_kept(self) -> None:
        """Exchange says 554 4.3.2, and the difference matters."""
        self.assertEqual(read(b"554 4.3.2 busy\r\n")[0], [Reply(554, "4.3.2", "busy")])

    def test_harmless_faults_are_tolerated(self) -> None:
        """A code alone, a bare LF, 8-bit text and controls are read."""
        self.assertEqual(read(b"250\r\n")[0], [Reply(250, "", "")])
        self.assertEqual(read(b"334 \r\n")[0], [Reply(334, "", "")])
        self.assertEqual(read(b"250 a\n")[0], [Reply(250, "", "a")])
        self.assertEqual(read(b"250 \xff\x00b\r\n")[0], [Reply(250, "", "\ufffd b")])
        self.assertEqual(read(b"550 5.1.1\r\n")[0], [Reply(550, "5.1.1", "")])

    def test_an_address_is_not_a_status(self) -> None:
        """What only looks like a status stays text."""
        self.assertEqual(read(b"250 4.3.2.1 hello\r\n")[0], [Reply(250, "", "4.3.2.1 hello")])

    def test_long_lines_are_accepted(self) -> None:
        """The SendAsDenied diagnosis is one enormous line."""
        [reply], error = read(b"554 5.2.0 " + b"x" * 30000 + b"\r\n")
        self.assertEqual((len(reply.text), error), (30000, ""))

    def test_garbage_is_an_error(self) -> None:
        """Nothing that is not a reply is guessed at."""
        for wire in (b"HTTP/1.1 400 Bad\r\n", b"\r\n", b"25 a\r\n", b"2500\r\n", b"150 a\r\n"):
            with self.subTest(wire=wire):
                self.assertIn("not an SMTP reply", read(wire)[1])

    def test_two_codes_in_one_reply_are_an_error(self) -> None:
        """Lines of one reply that disagree cannot be trusted."""
        self.assertIn("two codes", read(b"250-a\r\n550 b\r\n")[1])

    def test_size_is_bounded(self) -> None:
        """Neither one endless line nor endless lines fill the memory."""
        self.assertIn("more than", read(b"250 " + b"x" * REPLY_LIMIT)[1])
        self.assertIn("more than", read(*[b"250-x\r\n"] * 10000)[1])

    def test_error_keeps_what_was_complete(self) -> None:
        """A good reply before the fault is not lost."""
        self.assertEqual([reply.code for reply in read(b"250 a\r\nbad\r\n")[0]], [250])

    def test_pending_tells_whether_a_reply_has_begun(self) -> None:
        """A connection that closes inside a reply can be told from one that closes between."""
        reader = ReplyReader()
        self.assertFalse(reader.pending)
        reader.feed(b"250-a\r\n")
        self.assertTrue(reader.pending)
        reader.feed(b"250 b\r\n")
        self.assertFalse(reader.pending)

    @settings(deadline=None, max_examples=200)
    @given(st.lists(replies, max_size=5), st.lists(st.integers(0, 500), max_size=6))
    def test_reading_is_the_inverse_of_rendering(
        self, expected: list[Reply], places: list[int]
    ) -> None:
        """parse(render(v)) == v over any split."""
        wire = b"".join(map(render, expected))
        self.assertEqual(read(*cut(wire, places)), (expected, ""))

    @settings(deadline=None, max_examples=200)
    @given(
        st.lists(st.sampled_from([b"250", b"-", b" a", b"\r\n", b"\n", b"5.1.1 ", b"\xff"])),
        st.lists(st.integers(0, 500), max_size=6),
    )
    def test_any_split_gives_the_same(self, parts: list[bytes], places: list[int]) -> None:
        """Pieces never change what is read, errors included."""
        wire = b"".join(parts)
        self.assertEqual(read(*cut(wire, places)), read(wire))
