"""The header of local mail, completed."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.repair.origination import complete, mailbox

AT = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)


def completed(content: bytes, full_name: str = "", sender: str = "app@contoso.com") -> bytes:
    """The whole message after its header was completed."""
    header, length = complete(
        content, sender=sender, full_name=full_name, message_id="1@gw.example.com", at=AT
    )
    return header + content[length:]


class CompleteTests(SynchronousTestCase):
    def test_what_is_missing_is_added(self) -> None:
        """Date, Message-ID and From, behind what was there."""
        self.assertEqual(
            completed(b"Subject: x\r\n\r\nbody\r\n", "Web"),
            b"Subject: x\r\n"
            b"Date: Sat, 21 Nov 2026 05:00:00 +0000\r\n"
            b"Message-ID: <1@gw.example.com>\r\n"
            b"From: Web <app@contoso.com>\r\n"
            b"\r\nbody\r\n",
        )

    def test_what_is_there_stays_octet_for_octet(self) -> None:
        """In any letter case, folded, with odd spaces."""
        content = (
            b"from : a@b.example\r\nDATE:x\r\nmessage-ID: <y>\r\nX-Long: a\r\n\t b\r\n\r\nbody\r\n"
        )
        self.assertEqual(completed(content), content)

    def test_nobody_sees_bcc(self) -> None:
        """Bcc goes with all its lines, wherever it stands; Cc stays."""
        content = b"Bcc: x@y.example,\r\n z@y.example\r\nCc: c@d.example\r\nBCC:w@y.example\r\n\r\n"
        self.assertNotIn(b"y.example", completed(content))
        self.assertIn(b"Cc: c@d.example\r\nDate:", completed(content))

    def test_a_message_without_a_header(self) -> None:
        """A program that only prints: the header is made, the text is the body."""
        for content in (
            b"",
            b"\r\n",
            b"just text\r\n",
            b" indented\r\n",
            b"no end",
            b"\r\nbody\r\n",
        ):
            with self.subTest(content=content):
                message = message_from_bytes(completed(content), policy=policy.SMTP)
                self.assertEqual(message["From"], "app@contoso.com")
                self.assertEqual(message.defects, [])
                self.assertTrue(completed(content).endswith(content.removeprefix(b"\r\n")))

    def test_the_body_may_look_like_a_header(self) -> None:
        """What stands behind the blank line is none of the header."""
        content = b"Subject: x\r\n\r\nBcc: kept@example.com\r\nDate: no\r\n"
        self.assertTrue(
            completed(content).endswith(b"\r\n\r\nBcc: kept@example.com\r\nDate: no\r\n")
        )
        self.assertIn(b"\r\nDate: Sat", completed(content))

    @given(st.binary(max_size=200))
    def test_the_body_is_never_changed(self, octets: bytes) -> None:
        """Whatever comes, what is behind the header stands at the end as it was."""
        _, length = complete(octets, sender="", full_name="", message_id="1", at=AT)
        self.assertLessEqual(length, len(octets))
        self.assertTrue(completed(octets).endswith(b"\r\n" + octets[length:]))


class MailboxTests(SynchronousTestCase):
    def test_names(self) -> None:
        """Plain, quoted where they must be, encoded where they are not ASCII."""
        for name, shown in (
            ("", "<a@b.example>"),
            ("Web Server", "Web Server <a@b.example>"),
            ('J. "Joe" Doe\\', '"J. \\"Joe\\" Doe\\\\" <a@b.example>'),
            ("Jürgen", "=?utf-8?q?J=C3=BCrgen?= <a@b.example>"),
        ):
            self.assertEqual(mailbox(name, "a@b.example"), shown)

    def test_the_null_sender(self) -> None:
        """It is from the mail system."""
        self.assertEqual(mailbox("", ""), "MAILER-DAEMON")

    def test_a_long_name_stays_on_one_line(self) -> None:
        """No line end gets into a header by a name."""
        self.assertNotIn("\n", mailbox("ü" * 500, "a@b.example"))
