"""Replies as values and on the wire."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.replies import LINE_LIMIT, Refused, Reply, render


class ReplyTests(SynchronousTestCase):
    """What a reply says about itself."""

    def test_class_is_told_by_the_first_digit(self) -> None:
        """Positive, transient and permanent are exclusive, and a missing reply is none of them."""
        table = {0: (0, 0, 0), 250: (1, 0, 0), 354: (1, 0, 0), 451: (0, 1, 0), 550: (0, 0, 1)}
        for code, expected in table.items():
            with self.subTest(code=code):
                reply = Reply(code, "", "x")
                told = (reply.is_positive, reply.is_transient, reply.is_permanent)
                self.assertEqual(told, expected)

    def test_refused_carries_its_reply(self) -> None:
        """A refusal reads like the reply it becomes, on one line."""
        refused = Refused(Reply(550, "5.1.1", "No such\nperson"))
        self.assertEqual(str(refused), "550 5.1.1 No such person")
        self.assertEqual(refused.reply.code, 550)


class RenderTests(SynchronousTestCase):
    """Replies on the wire."""

    def test_one_line(self) -> None:
        """Code, status and text with one CRLF."""
        self.assertEqual(render(Reply(250, "2.1.0", "Ok")), b"250 2.1.0 Ok\r\n")

    def test_many_lines_repeat_the_status(self) -> None:
        """RFC 2034: the status stands on each line."""
        wire = render(Reply(550, "5.7.1", "No\nNever"))
        self.assertEqual(wire, b"550-5.7.1 No\r\n550 5.7.1 Never\r\n")

    def test_no_status_where_there_is_none(self) -> None:
        """Greeting, EHLO and intermediate replies carry no status."""
        self.assertEqual(render(Reply(250, "", "h\nSIZE 1")), b"250-h\r\n250 SIZE 1\r\n")
        self.assertEqual(render(Reply(354, "", "Go on")), b"354 Go on\r\n")

    def test_status_of_another_class_is_left_out(self) -> None:
        """RFC 2034 4: the class of the status is that of the code."""
        self.assertEqual(render(Reply(554, "4.3.2", "busy")), b"554 busy\r\n")

    def test_text_from_outside_cannot_make_lines_or_controls(self) -> None:
        """CR, NUL and escape sequences become spaces; other alphabets become question marks."""
        wire = render(Reply(550, "5.1.1", "a\r\x00\x1b[2Jb ü"))
        self.assertEqual(wire, b"550 5.1.1 a   [2Jb ?\r\n")

    def test_missing_reply_has_no_wire_form(self) -> None:
        """Code 0 stands for no answer and is never sent."""
        self.assertRaises(ValueError, render, Reply(0, "", "lost"))

    @settings(deadline=None, max_examples=200)
    @given(text=st.text(max_size=1500), status=st.sampled_from(["", "5.7.1"]))
    def test_any_text_gives_well_formed_lines(self, text: str, status: str) -> None:
        """Each line is ASCII, at most 512 octets, and only the last one ends the reply."""
        lines = render(Reply(550, status, text)).split(b"\r\n")
        self.assertEqual(lines.pop(), b"")
        for line in lines:
            self.assertTrue(line.isascii() and len(line) + 2 <= LINE_LIMIT)
            self.assertFalse(set(line) & {0, 10, 13, 127})
        self.assertEqual([line[3:4] for line in lines], [b"-"] * (len(lines) - 1) + [b" "])
