"""Tests for `m365gw.relay.exit.esmtp`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from m365gw.relay.exit.esmtp import Extensions, mail_command, rcpt_command
from m365gw.smtp.envelope import Recipient
from m365gw.smtp.replies import Refused, Reply

ALL = Extensions.of(
    Reply(250, "", "host\nSIZE 157286400\nPIPELINING\nDSN\n8BITMIME\nSMTPUTF8\nAUTH LOGIN XOAUTH2")
)
NONE = Extensions({})


def mail(extensions: Extensions, sender: str = "a@contoso.com", **wishes: object) -> bytes:
    settings: dict[str, object] = {
        "size": 10,
        "eight_bit": False,
        "smtputf8": False,
        "ret": "",
        "envid": "",
    }
    return mail_command(extensions, sender, **{**settings, **wishes})  # type: ignore[arg-type]


class ExtensionsTests(SynchronousTestCase):
    """Reading the answer to EHLO."""

    def test_keywords_in_any_letter_case(self) -> None:
        """Fault of stock clients: `auth xoauth2` is AUTH XOAUTH2."""
        extensions = Extensions.of(Reply(250, "", "host\nauth login xoauth2\nStartTls"))
        self.assertIn("STARTTLS", extensions)
        self.assertTrue(extensions.has_mechanism("XOAUTH2"))

    def test_greeting_line_is_no_keyword(self) -> None:
        """A host that calls itself STARTTLS offers nothing by that."""
        self.assertNotIn("STARTTLS", Extensions.of(Reply(250, "", "STARTTLS")))

    def test_old_auth_form_is_read_beside_the_new(self) -> None:
        """`AUTH=LOGIN` next to `AUTH XOAUTH2` adds to the list and does not replace it."""
        extensions = Extensions.of(Reply(250, "", "host\nAUTH XOAUTH2\nAUTH=LOGIN"))
        self.assertTrue(extensions.has_mechanism("XOAUTH2"))
        self.assertTrue(extensions.has_mechanism("LOGIN"))

    def test_empty_line_is_harmless(self) -> None:
        """A line without a keyword is passed over."""
        self.assertIn("DSN", Extensions.of(Reply(250, "", "host\n\nDSN")))

    def test_mechanism_is_a_whole_word(self) -> None:
        """XOAUTH2-PLUS is not XOAUTH2."""
        self.assertFalse(
            Extensions.of(Reply(250, "", "host\nAUTH XOAUTH2-PLUS")).has_mechanism("XOAUTH2")
        )


class MailCommandTests(SynchronousTestCase):
    """MAIL FROM."""

    def test_only_offered_parameters(self) -> None:
        """A server that offers nothing gets a bare command."""
        self.assertEqual(mail(NONE, ret="HDRS", envid="x"), b"MAIL FROM:<a@contoso.com>\r\n")

    def test_all_parameters(self) -> None:
        """What is offered and wanted is said, ENVID as xtext."""
        command = mail(ALL, size=99, eight_bit=True, smtputf8=True, ret="FULL", envid="a+b =c")
        self.assertEqual(
            command,
            b"MAIL FROM:<a@contoso.com> SIZE=99 BODY=8BITMIME SMTPUTF8 RET=FULL"
            b" ENVID=a+2Bb+20+3Dc\r\n",
        )

    def test_eight_bit_is_declared_wherever_it_may_be(self) -> None:
        """Clients often send 8-bit content without saying so; for 7-bit content it is no lie."""
        self.assertIn(b" BODY=8BITMIME", mail(ALL, eight_bit=False))

    def test_null_sender(self) -> None:
        """The null sender is an empty path."""
        self.assertTrue(mail(NONE, "").startswith(b"MAIL FROM:<>"))

    def test_smtputf8_is_refused_here_when_not_offered(self) -> None:
        """Internationalized mail is not mangled for a server that cannot take it."""
        refused = self.assertRaises(Refused, mail, NONE, "jörg@contoso.com", smtputf8=True)
        self.assertEqual((refused.reply.code, refused.reply.status), (550, "5.6.7"))

    def test_eight_bit_is_refused_here_when_not_offered(self) -> None:
        """8-bit content is not sent to a server that takes 7 bits."""
        refused = self.assertRaises(Refused, mail, NONE, eight_bit=True)
        self.assertEqual((refused.reply.code, refused.reply.status), (554, "5.6.3"))

    def test_line_end_in_sender_never_reaches_the_wire(self) -> None:
        """A sender that holds a line end would be a second command."""
        refused = self.assertRaises(Refused, mail, ALL, "a@b>\r\nRCPT TO:<c@d")
        self.assertEqual(refused.reply.status, "5.1.7")

    def test_envid_that_cannot_be_said_is_left_out(self) -> None:
        """A report's wish never stops the mail."""
        self.assertNotIn(b"ENVID", mail(ALL, envid="\x01"))


class RcptCommandTests(SynchronousTestCase):
    """RCPT TO."""

    def test_notify_and_orcpt(self) -> None:
        """Delivery status wishes travel on, ORCPT as xtext behind its type."""
        recipient = Recipient(
            "b@x.example", frozenset({"DELAY", "SUCCESS"}), "rfc822;b+c@x.example"
        )
        self.assertEqual(
            rcpt_command(ALL, recipient, False),
            b"RCPT TO:<b@x.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bc@x.example\r\n",
        )
        self.assertEqual(rcpt_command(NONE, recipient, False), b"RCPT TO:<b@x.example>\r\n")

    def test_internationalized_recipient_needs_smtputf8(self) -> None:
        """A UTF-8 address goes out as UTF-8, and only in such a message."""
        recipient = Recipient("jörg@x.example")
        self.assertEqual(
            rcpt_command(ALL, recipient, True), "RCPT TO:<jörg@x.example>\r\n".encode()
        )
        refused = self.assertRaises(Refused, rcpt_command, ALL, recipient, False)
        self.assertEqual(refused.reply.status, "5.6.7")

    def test_line_end_in_recipient_never_reaches_the_wire(self) -> None:
        """A recipient that holds a line end would be a second command."""
        for text in ("a\n@b", "a\r@b", "a\0@b"):
            refused = self.assertRaises(Refused, rcpt_command, ALL, Recipient(text), True)
            self.assertEqual(refused.reply.status, "5.1.3")
