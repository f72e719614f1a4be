"""Another author put into a header."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.repair.from_rewrite import from_added, from_instead
from m365gw.smtp.repair.header_fields import HeaderFields


def header(octets: bytes) -> HeaderFields:
    return HeaderFields.parse(octets)[0]


class FromRewriteTests(SynchronousTestCase):
    def rewritten(self, octets: bytes) -> bytes:
        return from_instead(header(octets), "relay@example.com").octets()

    def test_the_name_stays_and_answers_find_their_way(self) -> None:
        """The old address is in Reply-To, the old field can be read, and all else is untouched."""
        self.assertEqual(
            self.rewritten(b"To:  x\r\nFrom: Jane\r\n <jane@example.org>\r\nSubject: y\r\n\r\n"),
            b"To:  x\r\nX-Original-From: Jane\r\n <jane@example.org>\r\nSubject: y\r\n"
            b"From: Jane <relay@example.com>\r\nReply-To: <jane@example.org>\r\n\r\n",
        )

    def test_reply_to_of_the_author_is_kept(self) -> None:
        """Who says where answers go means it."""
        octets = self.rewritten(b"From: a@b.example\r\nReply-To: c@d.example\r\n\r\n")
        self.assertEqual(octets.count(b"Reply-To"), 1)
        self.assertIn(b"Reply-To: c@d.example\r\n", octets)

    def test_several_authors_and_a_sender(self) -> None:
        """All are answered to; the sender, of no use to one author, goes."""
        octets = self.rewritten(b"From: a@b.example, c@d.example\r\nSender: e@f.example\r\n\r\n")
        self.assertIn(b"Reply-To: <a@b.example>,\r\n <c@d.example>\r\n", octets)
        self.assertNotIn(b"Sender", octets)
        octets = self.rewritten(b"From: a@b.example\r\nFrom: c@d.example\r\n\r\n")
        self.assertEqual(octets.count(b"\r\nFrom:"), 1)

    def test_what_cannot_be_read_is_answered_to_by_nobody(self) -> None:
        """It is kept to look at, no more."""
        octets = self.rewritten(b"From: a@b.example c@d.example\r\n\r\n")
        self.assertNotIn(b"Reply-To", octets)
        self.assertIn(b"X-Original-From: a@b.example c@d.example\r\n", octets)

    def test_added_where_there_is_none(self) -> None:
        """What the device called itself stays its name."""
        octets = from_added(header(b"Subject: x\r\n"), "scan@example.com").octets()
        self.assertEqual(octets, b"Subject: x\r\nFrom: <scan@example.com>\r\n\r\n")
        octets = from_added(header(b"From: Printer 3\r\n\r\n"), "scan@example.com").octets()
        self.assertEqual(
            octets, b"X-Original-From: Printer 3\r\nFrom: Printer 3 <scan@example.com>\r\n\r\n"
        )
