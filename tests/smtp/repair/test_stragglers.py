"""Fields behind a broken header, which some readers see and others do not."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.repair.stragglers import SIZE_LIMIT, Stragglers


def found(stray: bytes, rest: bytes, cut: int = 0) -> bool:
    watch = Stragglers(stray)
    for at in range(0, len(rest), cut or len(rest) or 1):
        watch.feed(rest[at : at + (cut or len(rest))])
    watch.finish()
    return watch.found


class StragglersTests(SynchronousTestCase):
    def test_another_author_before_the_blank_line(self) -> None:
        """However the pieces fall, and however odd the line is."""
        for line in (b"From: x", b"sender : x", b"FROM\t:x", b" From: x", b"From\x0b: x"):
            for cut in (0, 1, 3):
                with self.subTest(line=line, cut=cut):
                    self.assertTrue(
                        found(b"no field\r", b"Subject: x\r\n" + line + b"\r\n\r\n", cut)
                    )
            self.assertTrue(found(line, b""))
            self.assertTrue(found(b"no field\r", line))

    def test_text_is_text(self) -> None:
        """Behind the blank line anything may stand, and other lines before it."""
        self.assertFalse(found(b"Hello", b"all\r\nFromage: x\r\n\r\nFrom: x\r\n"))
        self.assertFalse(found(b"Hello", b"I am from: here\r\n\nFrom: x\r\n"))

    def test_it_looks_as_far_as_any_reader(self) -> None:
        """A text of endless lines is not looked at for ever."""
        self.assertFalse(found(b"x", b"y\r\n" * SIZE_LIMIT + b"From: x\r\n", cut=SIZE_LIMIT))
