"""Tests of the ordered pump under a session."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.rehearsal.dialogue import MESSAGE, Service

SCRIPT = (
    b"MAIL FROM:<relay@contoso.example> SIZE=60\r\nRCPT TO:<bad>\r\nRCPT TO:<b@x.example>\r\n"
    + b"DATA\r\n"
    + MESSAGE
    + b"..\r\n.\r\nNOOP\r\nFOO\r\nMAIL FROM:<alerts@contoso.example>\r\nRCPT TO:<c@x.example>\r\n"
    + b"BDAT 5\r\nFrom:BDAT 27 LAST\r\n relay@contoso.example\r\n\r\n.VRFY x\r\nQUIT\r\n"
)
CODES = "250 501 250 354 250 250 500 250 250 250 250 252 221"


class PumpTests(SynchronousTestCase):
    """Whatever the pieces, the dialogue is the same."""

    @settings(deadline=None, max_examples=60)
    @given(st.sets(st.integers(1, len(SCRIPT) - 1), max_size=12))
    def test_pieces_do_not_matter(self, cuts: set[int]) -> None:
        """A pipelined session cut anywhere gives the same answers and the same messages."""
        service = Service()
        dialogue = service.signed_in()
        places = [0, *sorted(cuts), len(SCRIPT)]
        said = "".join(
            dialogue.send(SCRIPT[begin:end]) for begin, end in zip(places, places[1:], strict=False)
        )
        self.assertEqual(" ".join(re.findall(r"^\d{3}", said, re.M)), CODES)
        contents = [each.content for each in service.record.messages()]
        self.assertEqual(contents, [MESSAGE + b".\r\n", b"From: relay@contoso.example\r\n\r\n."])
        self.assertTrue(dialogue.is_closed)

    def test_replies_to_one_piece_are_one_write(self) -> None:
        """However many commands, the transport is written to once."""
        dialogue = Service().signed_in()
        writes: list[bytes] = []
        self.patch(dialogue.wire, "write", writes.append)
        dialogue.session.dataReceived(b"NOOP\r\n" * 10)
        self.assertEqual(len(writes), 1)

    def test_nothing_is_answered_after_the_end(self) -> None:
        """What comes behind QUIT is not read."""
        dialogue = Service().signed_in()
        said = dialogue.send(b"QUIT\r\nNOOP\r\n") + dialogue.send(b"NOOP\r\n")
        self.assertEqual(said.count("\n"), 1)
