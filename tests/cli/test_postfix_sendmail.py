"""`sendmail`: what it puts into the maildrop, and what it refuses."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.postfix.address_lists import BadAddresses, addresses
from m365gw.cli.postfix.local_text import content_of, header_recipients
from m365gw.edge.local.maildrop import Maildrop
from m365gw.smtp.dropped import Dropped
from tests.cli.postfix_call import Outputs, call

UID = os.geteuid()


class SendmailTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()
        self.maildrop = Maildrop(str(self.path), 100_000)
        self.addCleanup(self.maildrop.close)

    def sendmail(self, text: bytes, *arguments: str) -> Outputs:
        return call("sendmail", *arguments, maildrop=str(self.path), stdin=text)

    def dropped(self, text: bytes, *arguments: str) -> tuple[Dropped, bytes]:
        """Envelope and content of the one message it put there."""
        done = self.sendmail(text, *arguments)
        self.assertEqual((done.code, done.stderr), (0, ""))
        ((name,), _) = self.maildrop.take(10, set())
        mail = self.maildrop.open(name)
        content = mail.read(0, mail.size)
        mail.close()
        self.maildrop.refuse(name)
        return mail.envelope, content

    def fails(self, code: int, words: str, text: bytes, *arguments: str) -> None:
        """It ends with this code, and nothing is in the maildrop."""
        done = self.sendmail(text, *arguments)
        self.assertEqual((done.code, done.stdout), (code, ""), done.stderr)
        self.assertIn(words, done.stderr)
        self.assertTrue(done.stderr.startswith("sendmail: fatal: "), done.stderr)
        self.assertEqual(self.maildrop.take(10, set()), ([], {}))

    def test_recipients_of_command_line_and_header(self) -> None:
        """-t adds those of To, Cc and Bcc; lists, names and groups are read."""
        text = b"To: Joe <j@a.example>, k@a.example\nCc: grp: x@y.example;\nBcc: b@c.example\n\nx\n"
        envelope, content = self.dropped(text, "-t", "root,q@r.example", "Z <z@z.example>")
        self.assertEqual(
            envelope.recipients,
            ("root", "q@r.example", "z@z.example")
            + ("j@a.example", "k@a.example", "x@y.example", "b@c.example"),
        )
        self.assertEqual(content, text.replace(b"\n", b"\r\n"))

    def test_senders(self) -> None:
        """-f and -r; the null sender; none named."""
        for options, sender in (
            (("-f", "a@b.example"), "a@b.example"),
            (("-ra@b.example",), "a@b.example"),
            (("-f", "Joe <a@b.example>"), "a@b.example"),
            (("-f", ""), ""),
            (("-f<>",), ""),
            ((), None),
        ):
            envelope, _ = self.dropped(b"x\n", *options, "c@d.example")
            self.assertEqual(envelope.sender, sender)

    def test_what_others_ask_for_is_ignored(self) -> None:
        """Options of the first sendmail that cron, PHP and git give."""
        for line in (
            "-FCronDaemon -i -B8BITMIME -oem c@d.example",
            "-t -i c@d.example",
            "-oi -odb -oeq -om -O DeliveryMode=b -h 5 -L x -m -U -G -e q -x -Am c@d.example",
            "-p smtp -N never -R hdrs -V abc -- c@d.example",
        ):
            envelope, _ = self.dropped(b"Subject: x\n\n", *line.split(" "))
            self.assertEqual(envelope.recipients, ("c@d.example",))

    def test_wishes_for_reports(self) -> None:
        """-N, -R and -V; -v asks for all reports, and says so."""
        envelope, _ = self.dropped(
            b"", "-N", "failure,delay", "-R", "hdrs", "-V", "7", "a@b.example"
        )
        self.assertEqual(
            (envelope.notify, envelope.ret, envelope.envid),
            (frozenset({"FAILURE", "DELAY"}), "HDRS", "7"),
        )
        done = self.sendmail(b"", "-v", "-f", "x@y.example", "a@b.example")
        self.assertEqual(
            done.stdout, "Mail Delivery Status Report will be mailed to <x@y.example>.\n"
        )

    def test_addresses_behind_two_dashes(self) -> None:
        """What begins with a dash is an address there, and no option."""
        envelope, _ = self.dropped(b"", "-i", "--", "-f@b.example")
        self.assertEqual(envelope.recipients, ("-f@b.example",))

    def test_no_recipients(self) -> None:
        """Told in Postfix's words."""
        self.fails(75, "Recipient addresses must be specified on", b"x\n", "-f", "a@b.example")
        self.fails(75, "No recipient addresses found in message header", b"x\n", "-t")
        self.fails(75, "a@b.example(", b"x\n", "-f", "a@b.example", "-t")

    def test_line_ends_and_nuls_in_arguments(self) -> None:
        """They would become commands or fields of their own."""
        for text in ("a@b.example\r\nRCPT TO:<c@d.example>", "a\n@b.example", "a@b\0.example"):
            self.fails(75, "", b"x\n", text)
            self.fails(75, "", b"x\n", "-f", text, "c@d.example")
        envelope, _ = self.dropped(b"x\n", "-F", "Joe\r\nBcc: x@y.example", "c@d.example")
        self.assertEqual(envelope.full_name, "Joe??Bcc: x@y.example")

    def test_what_is_no_list_of_addresses(self) -> None:
        """Refused whole: nobody of a list is left out in silence."""
        for text in ("a@b.example c@d.example", "a@", "<a@b.example", 'a"b@c.example', "a)", "(a"):
            self.fails(75, "", b"x\n", text)
            self.fails(75, "", f"To: {text}\n\nx\n".encode(), "-t", "ok@b.example")

    def test_content_that_cannot_be_sent(self) -> None:
        """A NUL, and a message that is too big, also when it has no lines."""
        self.fails(65, "NUL", b"x\n\0\n", "a@b.example")
        self.maildrop.post(None, 1000)
        self.fails(75, "message file too big", b"x" * 1001, "a@b.example")
        self.fails(75, "message file too big", b"x\n" * 1001, "a@b.example")

    def test_a_user_who_may_not(self) -> None:
        """Told before the message is read, in Postfix's words, with 77."""
        self.maildrop.post([UID + 1], 1000)
        self.fails(77, f"({UID}) is not allowed to submit mail", b"x\n", "a@b.example")

    def test_no_maildrop(self) -> None:
        """Nothing is lost: the caller keeps the message."""
        done = call("sendmail", "a@b.example", maildrop="/nowhere/at/all", stdin=b"x\n")
        self.assertEqual((done.code, done.stdout), (75, ""))
        self.assertIn("cannot put the message into the maildrop", done.stderr)

    def test_eight_bit_content_is_marked(self) -> None:
        """By what is in it, whatever -B says."""
        self.assertTrue(self.dropped("ü\n".encode(), "-B7BIT", "a@b.example")[0].eight_bit)
        self.assertFalse(self.dropped(b"u\n", "-B8BITMIME", "a@b.example")[0].eight_bit)


class LocalTextTests(SynchronousTestCase):
    """Text with the line ends of this system."""

    def content(self, text: bytes, *, dot_ends: bool = True) -> bytes:
        return b"".join(content_of(text.splitlines(keepends=True), dot_ends=dot_ends))

    def test_line_ends(self) -> None:
        """LF, CR LF, CR CR LF, none at the end; a stray CR becomes a space."""
        lines = iter([b"a\n", b"b\r\n", b"c\r\r\n", b"d\re\n", b"\n", b"f"])
        self.assertEqual(
            b"".join(content_of(lines, dot_ends=True)), b"a\r\nb\r\nc\r\nd e\r\n\r\nf\r\n"
        )

    def test_a_dot_ends_it_or_not(self) -> None:
        """A line with nothing but a dot; -i makes it text."""
        self.assertEqual(self.content(b"a\n.\nb\n"), b"a\r\n")
        self.assertEqual(self.content(b"a\n..\n.b\n"), b"a\r\n..\r\n.b\r\n")
        self.assertEqual(self.content(b"a\n.\nb\n", dot_ends=False), b"a\r\n.\r\nb\r\n")

    def test_from_lines_at_the_beginning(self) -> None:
        """Those of a mailbox file are no part of the message; later ones are text."""
        self.assertEqual(
            self.content(b"From x\n>From y\nFrom: z\n\nFrom w\n"), b"From: z\r\n\r\nFrom w\r\n"
        )

    @given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"") + b"\n")))
    def test_no_stray_line_end_comes_out(self, lines: list[bytes]) -> None:
        """Whatever goes in, CR and LF stand only together."""
        text = b"".join(content_of(lines, dot_ends=False)).replace(b"\r\n", b"")
        self.assertEqual((text.count(b"\r"), text.count(b"\n")), (0, 0))


class HeaderTests(SynchronousTestCase):
    def test_folded_and_in_any_letter_case(self) -> None:
        """Only the header counts, and fields that begin alike are others."""
        text = (
            b"TO: a@b.example,\r\n\tc@d.example\r\nTo-Do: no@e.example\r\n\r\nCc: no@f.example\r\n"
        )
        self.assertEqual(header_recipients(text), ["a@b.example", "c@d.example"])

    def test_resent_messages_go_to_whom_they_are_resent(self) -> None:
        """As Postfix does it."""
        text = b"To: a@b.example\r\nResent-Bcc: c@d.example\r\n\r\n"
        self.assertEqual(header_recipients(text), ["c@d.example"])

    def test_a_body_alone(self) -> None:
        """There is no header to look into."""
        self.assertEqual(header_recipients(b"hello\r\nTo: a@b.example\r\n"), [])


class AddressListTests(SynchronousTestCase):
    def test_lists(self) -> None:
        """Names, comments in comments, groups, quotes, literals, odd separators."""
        for text, found in (
            ("", []),
            ("undisclosed-recipients:;", []),
            (
                '"Doe, J" <a@b.example>, root, "x@y" <z@w.example>',
                ["a@b.example", "root", "z@w.example"],
            ),
            ("Joe (evil, (<a@b.example>)) <c@d.example>", ["c@d.example"]),
            (
                "grp: x@y.example, z@w.example;, k@l.example",
                ["x@y.example", "z@w.example", "k@l.example"],
            ),
            ('"q x"@d.example; a@[127.0.0.1]', ['"q x"@d.example', "a@[127.0.0.1]"]),
            ("jürgen@exämple.com (ü\\))", ["jürgen@exämple.com"]),
        ):
            self.assertEqual(addresses(text), found)

    @given(st.text(st.sampled_from('ab@.,;:<>()"\\ []\n\t\0é'), max_size=30))
    def test_anything_is_a_list_or_none(self, text: str) -> None:
        """No other failure, and no address with a space or a control in it unless quoted."""
        try:
            found = addresses(text)
        except BadAddresses:
            return
        for address in found:
            self.assertTrue(address.isprintable() and address)
            self.assertTrue('"' in address or " " not in address, address)
