"""Whom messages may say that they are from, as a session decides it."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Network
from m365gw.smtp.headers import KEPT_LIMIT
from tests.edge.conversation import OPEN, TRUSTED, Gateway

BODY = b"\r\nHello.\r\n"
FOREIGN = b"From: Boss <boss@example.org>\r\n"
OURS = b"From: Me <me@example.com>\r\n"
REPAIRING = evolve(OPEN, repair=("from", "display-name"))


class AuthorshipTestCase(SynchronousTestCase):
    rule = TRUSTED
    listener = OPEN

    def setUp(self) -> None:
        self.gateway = Gateway(self, listener=self.listener, networks=(self.rule,))

    def send(self, content: bytes, cut: int = 0) -> str:
        """The reply to the end of a message that came in pieces of this size (0: at once)."""
        talk = self.gateway.connect()
        talk.envelope()
        talk.say("DATA")
        wire = content + b".\r\n"
        for at in range(0, len(wire), cut or len(wire)):
            talk.protocol.dataReceived(wire[at : at + (cut or len(wire))])
        (said,) = [line for line in talk.heard() if line[3] == " "]
        return said

    def stored(self, content: bytes, cut: int = 0) -> bytes:
        """A message as it lies in the spool."""
        said = self.send(content, cut)
        self.assertTrue(said.startswith("250 "), said)
        return self.gateway.contents()[-1]

    def assert_refused(self, content: bytes, words: str = "", cut: int = 0) -> None:
        talked = self.send(content, cut)
        self.assertTrue(talked.startswith("550 5.7.1 "), talked)
        self.assertEqual(self.gateway.messages(), [])
        self.gateway.log.flush()
        self.assertIn(words, self.gateway.output.getvalue())


class RefuseTests(AuthorshipTestCase):
    """The default: only as whom they may."""

    def test_a_foreign_from_is_refused_with_what_to_change(self) -> None:
        """The client and the log learn who, and where it would be allowed."""
        self.assert_refused(
            FOREIGN + BODY,
            "network 192.0.2.0/24 may not send mail with <boss@example.org> in From. Set another "
            "one in the device or program; or the gateway's operator adds it to senders of "
            "network 192.0.2.0/24 (see m365gw network list), or sets "
            'foreign_from = "rewrite" there',
        )

    def test_what_is_allowed_passes_as_it_came(self) -> None:
        """Octet for octet; so does a message that names nobody."""
        for content in (OURS, OURS + b"Sender: x@EXAMPLE.com\r\n", b"Subject: x\r\n"):
            self.assertEqual(self.stored(content + BODY), content + BODY)
        self.assertEqual(
            self.stored(b"Hello, no header at all.\r\n"), b"Hello, no header at all.\r\n"
        )

    def test_one_foreign_author_of_several_is_enough(self) -> None:
        """In a list, in a group, for a name, in a second field, as Sender."""
        for content in (
            b"From: me@example.com, boss@example.org\r\n",
            b"From: Team: me@example.com, boss@example.org;\r\n",
            b"From: boss@example.org <me@example.com>\r\n",
            OURS + FOREIGN,
            OURS + b"Sender: boss@example.org\r\n",
            b"Sender: boss@example.org\r\n",
            b"FROM : boss@example.org\r\n",
            b"From:\r\n boss@example.org\r\n",
        ):
            with self.subTest(content=content):
                self.assert_refused(content + BODY, "<boss@example.org> in ")

    def test_what_cannot_be_read_is_no_permission(self) -> None:
        """Broken, hidden in encoded words, or without any address."""
        for value in (
            b"me@example.com you@example.com",
            b"=?utf-8?q?boss=40example.org?=",
            b"<=?utf-8?q?boss=40example.org=2C?=@example.com>",
            b"Printer 3",
            b"",
            b'"boss"x@example.com',
        ):
            with self.subTest(value=value):
                self.assert_refused(b"From: " + value + b"\r\n" + BODY, "cannot be told")

    def test_a_header_too_large_to_remember_is_no_permission(self) -> None:
        """From behind all that is kept of a header, and one that is cut off there."""
        many = b"List-X: " + b"x" * (KEPT_LIMIT // 2 - 100) + b"\r\n"
        self.assert_refused(many * 3 + FOREIGN + BODY, "cannot be told")
        padded = b"From: me@example.com,\r\n " + b" " * KEPT_LIMIT + b"boss@example.org\r\n"
        self.assert_refused(padded + BODY, "cannot be told")

    def test_nothing_hides_behind_a_broken_header(self) -> None:
        """Where some readers end the header and others go on, From may stand nowhere."""
        for content in (
            OURS + b"no field\r\n" + FOREIGN,
            b"no field\r\n" + FOREIGN,
            b" " + FOREIGN,
            OURS + b"From\x0b: boss@example.org\r\n",
        ):
            for cut in (0, 1, 7):
                with self.subTest(content=content, cut=cut):
                    self.assert_refused(content + BODY, "broken off", cut)
        text = b"no field\r\nSubject: x\r\n\r\n" + FOREIGN
        self.assertEqual(self.stored(text), text)

    def test_in_chunks_too(self) -> None:
        """A header that ends with its message is judged as well."""
        talk = self.gateway.connect()
        talk.envelope()
        said = talk.send(b"BDAT %d LAST\r\n%s" % (len(FOREIGN), FOREIGN))
        self.assertEqual([line[:9] for line in said], ["550 5.7.1"])

    def test_new_words_each_time(self) -> None:
        """What is remembered of one From says nothing of another."""
        for _ in range(2):
            self.assert_refused(FOREIGN + BODY)
        self.stored(OURS + BODY)


class RepairedTests(RefuseTests):
    """The same on a listener that mends From, and display names."""

    listener = REPAIRING

    def test_what_is_allowed_passes_as_it_came(self) -> None:
        """What is missing is added; the rest is as it came."""
        self.assertEqual(self.stored(OURS + BODY), OURS + BODY)
        self.assertIn(
            b"From: <me@example.com>\r\n\r\nHello.", self.stored(b"Subject: x\r\n" + BODY)
        )

    def test_what_cannot_be_read_is_no_permission(self) -> None:
        """Without an address it is mended; else it is refused."""
        self.assertIn(b"\r\nFrom: Printer 3 <me@", self.stored(b"From: Printer 3\r\n" + BODY))
        talked = self.send(b"From: a@example.com b@example.com\r\n" + BODY)
        self.assertIn("cannot be told", talked)

    def test_one_foreign_author_of_several_is_enough(self) -> None:
        """But an address for a name is made a name."""
        self.assert_refused(b"From: me@example.com, boss@example.org\r\n" + BODY)
        self.assert_refused(OURS + b"Sender: boss@example.org\r\n" + BODY)
        named = self.stored(b"From: boss@example.org <me@example.com>\r\n" + BODY)
        self.assertIn(b'From: "boss@example.org" <me@example.com>\r\n', named)

    def test_a_header_too_large_to_remember_is_no_permission(self) -> None:
        """A mended header is judged whole."""
        many = b"List-X: " + b"x" * (KEPT_LIMIT // 2 - 100) + b"\r\n"
        self.assert_refused(many * 3 + FOREIGN + BODY, "<boss@example.org> in From")

    def test_nothing_hides_behind_a_broken_header(self) -> None:
        """The header gets the blank line it lacks: for every reader the rest is text."""
        said = self.stored(OURS + b"no field\r\n" + FOREIGN + BODY)
        self.assertEqual(said, OURS + b"\r\nno field\r\n" + FOREIGN + BODY)

    def test_mended_line_ends_make_no_way_around(self) -> None:
        """What becomes a field when lone line ends are mended is judged as one."""
        sloppy = evolve(OPEN, quirks=("bare-lf",), quirk_networks=("192.0.2.0/24",))
        self.gateway = Gateway(self, listener=sloppy, networks=(self.rule,))
        for content in (b"From:\n boss@example.org\n\nx\r\n", b"A: b\rFrom: boss@example.org\r\n"):
            self.assert_refused(content + BODY, "<boss@example.org> in From")


class RewriteTests(AuthorshipTestCase):
    """The rule puts its own address there."""

    rule: Network = evolve(TRUSTED, foreign_from="rewrite", default_from="shop@example.com")

    def test_rewritten_with_the_name_kept_and_answers_to_the_old_one(self) -> None:
        """And the log says so."""
        self.assertEqual(
            self.stored(b"To: you@example.net\r\n" + FOREIGN + BODY),
            b"To: you@example.net\r\nX-Original-From: Boss <boss@example.org>\r\n"
            b"From: Boss <shop@example.com>\r\nReply-To: <boss@example.org>\r\n" + BODY,
        )
        self.gateway.log.flush()
        self.assertIn("repaired=foreign-from", self.gateway.output.getvalue())

    def test_what_is_allowed_is_not_touched(self) -> None:
        """The default counts as allowed."""
        for content in (OURS, b"From: shop@EXAMPLE.com\r\n"):
            self.assertEqual(self.stored(content + BODY), content + BODY)

    def test_a_missing_from_is_added(self) -> None:
        """It is the sender of the envelope, which was allowed."""
        self.assertIn(b"\r\nFrom: <me@example.com>\r\n", self.stored(b"Subject: x\r\n" + BODY))

    def test_what_cannot_be_read_is_rewritten(self) -> None:
        """Nobody can be answered to then."""
        octets = self.stored(b"From: a@b.c d@e.f\r\n" + BODY)
        self.assertIn(b"\r\nFrom: <shop@example.com>\r\n", octets)
        self.assertNotIn(b"Reply-To", octets)

    def test_a_foreign_sender_field_is_taken_away(self) -> None:
        """Beside a From that may be."""
        octets = self.stored(OURS + b"Sender: boss@example.org\r\n" + BODY)
        self.assertEqual(octets, OURS + BODY)

    def test_signed_mail_is_refused_instead(self) -> None:
        """Rewriting would break the signature; the words say so."""
        signed = b"DKIM-Signature: v=1; d=example.org; h=from:to; b=x\r\n"
        self.assert_refused(signed + FOREIGN + BODY, "as the message is signed (DKIM)")
        self.stored(signed + OURS + BODY)


class KeepTests(AuthorshipTestCase):
    """The operator does not ask: Microsoft is to decide."""

    rule = evolve(TRUSTED, foreign_from="keep")

    def test_everything_passes(self) -> None:
        """Octet for octet, broken or not."""
        for content in (FOREIGN, b"From: a@b.c d@e.f\r\n", b"no field\r\n" + FOREIGN):
            self.assertEqual(self.stored(content + BODY), content + BODY)


class EnvelopeTests(AuthorshipTestCase):
    """The sender of the envelope rewritten, recipients kept out, rates."""

    rule = evolve(
        TRUSTED,
        foreign_sender="rewrite",
        default_from="shop@example.com",
        deny_recipients=("all@example.com",),
        messages_per_hour=2,
        recipients_per_day=3,
    )

    def test_the_sender_is_rewritten(self) -> None:
        """That of a report, too; the log says what it was."""
        talk = self.gateway.connect()
        talk.say("EHLO x")
        for sender in ("boss@example.org", ""):
            talk.say(f"MAIL FROM:<{sender}>", "RCPT TO:<you@example.net>", "DATA")
            talk.send(OURS + BODY + b".\r\n")
        envelopes = [envelope.sender for envelope, _ in self.gateway.messages()]
        self.assertEqual(envelopes, ["shop@example.com"] * 2)
        self.gateway.log.flush()
        self.assertIn("sender_was=<boss@example.org>", self.gateway.output.getvalue())

    def test_a_recipient_that_is_kept_out(self) -> None:
        """The others get their mail."""
        talk = self.gateway.connect()
        said = talk.envelope("all@example.com", "you@example.net")
        self.assertEqual([line[:9] for line in said[-2:]], ["550 5.7.1", "250 2.1.5"])

    def test_rates(self) -> None:
        """Recipients at RCPT, messages at MAIL, and what was not accepted is not counted."""
        self.assert_refused(FOREIGN + BODY)
        talk = self.gateway.connect()
        said = talk.envelope(*(f"{number}@example.net" for number in range(4)))
        self.assertEqual([line[:9] for line in said[-2:]], ["250 2.1.5", "450 4.7.1"])
        talk.say("RSET")
        for _ in range(2):
            talk.say("MAIL FROM:<me@example.com>", "RCPT TO:<you@example.net>", "DATA")
            self.assertEqual([line[:3] for line in talk.send(OURS + BODY + b".\r\n")], ["250"])
        (said_last,) = talk.say("MAIL FROM:<me@example.com>")
        self.assertTrue(said_last.startswith("450 4.7.1 192.0.2.7 of network"), said_last)
        self.assertIn("250", self.gateway.connect("192.0.2.8").envelope()[-1])

    def test_sessions_side_by_side_share_one_rate(self) -> None:
        """What is too much when the content has come is refused there, and may come later."""
        talks = [self.gateway.connect() for _ in range(3)]
        for talk in talks:
            talk.envelope()
            talk.say("DATA")
        said = [talk.send(OURS + BODY + b".\r\n")[0][:3] for talk in talks]
        self.assertEqual(said, ["250", "250", "450"])
