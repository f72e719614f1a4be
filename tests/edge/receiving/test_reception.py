"""What becomes of MAIL, RCPT, DATA and BDAT."""

from __future__ import annotations

import errno
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.limits import Limits
from m365gw.config.settings import Listener, Network
from m365gw.edge.receiving.content import SMALL
from m365gw.edge.receiving.header_watch import MOST_VISITS
from m365gw.edge.receiving.reception import TINY_CHUNK
from m365gw.spool.draft import Draft
from m365gw.spool.files import Files
from m365gw.spool.health import SpoolError
from tests.edge.conversation import MESSAGE, TRUSTED, Gateway

SUBMISSION = Listener(name="submission", endpoint="tcp:0", tls="starttls", auth="require")


class EnvelopeTests(SynchronousTestCase):
    """MAIL and RCPT."""

    def test_denied_sender_is_told_why_and_logged(self) -> None:
        """The refusal says which network and what to change, to the client and in the log."""
        client = Gateway(self).connect()
        client.say("EHLO x")
        [reply] = client.say("MAIL FROM:<boss@example.org>")
        self.assertTrue(reply.startswith("553 5.7.1 network 192.0.2.0/24 may not send"), reply)
        self.assertIn("boss@example.org", client.gateway.output.getvalue())
        self.assertEqual(client.say("RCPT TO:<a@example.net>")[0][:3], "503")

    def test_stranger_to_all_networks_must_log_in_or_leave(self) -> None:
        """Without AUTH offered 550, where it is 530 5.7.0."""
        client = Gateway(self).connect("203.0.113.5")
        client.say("EHLO x")
        self.assertEqual(client.say("MAIL FROM:<me@example.com>")[0][:9], "550 5.7.1")
        client = Gateway(self, listener=SUBMISSION).connect()
        client.say("EHLO x")
        self.assertEqual(client.say("MAIL FROM:<me@example.com>")[0][:9], "530 5.7.0")

    def test_required_tls_comes_before_mail(self) -> None:
        """On a listener that requires TLS, a trusted network too must use it."""
        listener = Listener(name="t", endpoint="tcp:0", tls="require", networks=(TRUSTED.cidr,))
        client = Gateway(self, listener=listener).connect()
        client.say("EHLO x")
        self.assertEqual(
            client.say("MAIL FROM:<me@example.com>"),
            ["530 5.7.0 Must issue a STARTTLS command first"],
        )
        self.assertIn("530 5.7.0", client.gateway.output.getvalue())
        client.say("STARTTLS")
        client.pump.handshakeCompleted()
        self.assertEqual(client.envelope()[-1][:3], "250")

    def test_null_sender_only_where_the_rule_lists_it(self) -> None:
        """Reports are let through by "<>" in the senders, and by nothing less."""
        client = Gateway(self).connect()
        client.say("EHLO x")
        self.assertEqual(client.say("MAIL FROM:<>")[0][:9], "553 5.7.1")
        reports = Network(cidr=TRUSTED.cidr, senders=("<>",), mailbox="r@example.com")
        client = Gateway(self, networks=[reports]).connect()
        client.say("EHLO x")
        self.assertEqual(client.say("MAIL FROM:<>")[0][:9], "250 2.1.0")

    def test_postmaster_is_whoever_reads_the_mailbox(self) -> None:
        """RCPT TO:<Postmaster> must be taken (RFC 5321 4.5.1), and Exchange would refuse it."""
        client = Gateway(self).connect()
        client.say("EHLO x", "MAIL FROM:<me@example.com>")
        self.assertEqual(client.say("RCPT TO:<PostMaster>")[0][:3], "250")
        client.say("RCPT TO:<postmaster@example.net>", "DATA")
        client.send(MESSAGE + b".\r\n")
        [(envelope, _)] = client.gateway.messages()
        self.assertEqual(
            [each.address for each in envelope.recipients],
            ["relay@example.com", "postmaster@example.net"],
        )

    def test_full_disk_is_said_before_the_message(self) -> None:
        """Below the mark of free space MAIL gets 452 4.3.1."""
        client = Gateway(self, limits=Limits(minimal_free_space=1 << 60)).connect()
        client.say("EHLO x")
        self.assertEqual(client.say("MAIL FROM:<me@example.com>")[0][:9], "452 4.3.1")
        self.assertIn("452 4.3.1", client.gateway.output.getvalue())

    def test_utf8_needs_smtputf8(self) -> None:
        """An address that is not ASCII is refused unless MAIL said SMTPUTF8, and resets nothing."""
        client = Gateway(self).connect()
        client.say("EHLO x")
        self.assertEqual(client.say("MAIL FROM:<jürgen@example.com>")[0][:9], "553 5.6.7")
        client.say("MAIL FROM:<me@example.com>")
        self.assertEqual(client.say("RCPT TO:<jürgen@example.net>")[0][:9], "553 5.6.7")
        client.say("RSET", "MAIL FROM:<jürgen@example.com> SMTPUTF8")
        self.assertEqual(client.say("RCPT TO:<jürgen@example.net>")[0][:3], "250")
        client.say("DATA")
        client.send(MESSAGE + b".\r\n")
        [(envelope, octets)] = client.gateway.messages()
        self.assertEqual(envelope.sender, "jürgen@example.com")
        self.assertTrue(envelope.smtputf8)
        self.assertIn(b" with UTF8SMTP id ", octets)

    def test_refused_utf8_mail_leaves_no_transaction(self) -> None:
        """MAIL that is refused for its address has reset sender and recipients alike."""
        client = Gateway(self).connect()
        client.say("EHLO x", "MAIL FROM:<jürgen@example.com>")
        self.assertEqual(client.say("RCPT TO:<a@example.net>")[0][:3], "503")
        self.assertEqual(client.say("DATA")[0][:3], "503")

    def test_nested_mail_is_refused(self) -> None:
        """A second MAIL changes nothing of the first."""
        client = Gateway(self).connect()
        client.envelope()
        self.assertEqual(client.say("MAIL FROM:<other@example.com>")[0][:3], "503")
        client.say("DATA")
        client.send(MESSAGE + b".\r\n")
        [(envelope, _)] = client.gateway.messages()
        self.assertEqual(envelope.sender, "me@example.com")

    def test_refused_recipients_leave_the_others(self) -> None:
        """One bad recipient among good ones does not end the transaction."""
        client = Gateway(self).connect()
        client.say("EHLO x", "MAIL FROM:<me@example.com>")
        client.say("RCPT TO:<a@example.net>", "RCPT TO:<@>", "RCPT TO:<b@example.net>", "DATA")
        client.send(MESSAGE + b".\r\n")
        [(envelope, _)] = client.gateway.messages()
        self.assertEqual(
            [each.address for each in envelope.recipients], ["a@example.net", "b@example.net"]
        )


class ContentTests(SynchronousTestCase):
    """DATA and what becomes of it."""

    def setUp(self) -> None:
        self.gateway = Gateway(self, limits=Limits(message_size_limit=1000, minimal_free_space=0))

    def test_message_is_spooled_for_the_rules_mailbox(self) -> None:
        """The queue id of the reply is that of the spool; mailbox and origin are on the file."""
        client = self.gateway.connect()
        [reply] = client.message()
        [entry] = self.gateway.accepted
        self.assertEqual(reply, f"250 2.0.0 Ok: queued as {entry.queue_id}")
        message = self.gateway.spool.claim(entry)
        self.addCleanup(message.close)
        origin = message.origin
        self.assertEqual(
            (origin.mailbox, origin.client, origin.helo, origin.protocol, origin.listener),
            ("relay@example.com", "192.0.2.7", "client.example.com", "ESMTP", "test"),
        )

    def test_trace_field_comes_first(self) -> None:
        """Received from, by, with, id; the recipient only when there is one."""
        client = self.gateway.connect()
        client.message()
        client.envelope("a@example.net", "b@example.net")
        client.say("DATA")
        client.send(MESSAGE + b".\r\n")
        [(_, one), (_, two)] = self.gateway.messages()
        self.assertTrue(one.startswith(b"Received: from client.example.com"), one)
        self.assertIn(b"you@example.net", one)
        self.assertNotIn(b"a@example.net", two)

    def test_one_log_line_for_a_message(self) -> None:
        """Client, sender, size, recipients and mailbox in one line under the queue id."""
        client = self.gateway.connect()
        client.message()
        [line] = self.gateway.output.getvalue().splitlines()
        self.assertIn(f": {self.gateway.accepted[0].queue_id}: client=unknown[192.0.2.7]", line)
        for part in (
            "from=<me@example.com>",
            f"size={len(MESSAGE)}",
            "nrcpt=1",
            "mailbox=relay@example.com",
        ):
            self.assertIn(part, line)

    def test_bare_line_ends_are_refused_behind_the_true_end(self) -> None:
        """Bare CR, bare LF and NUL: read on to CRLF.CRLF, then 550 5.6.0 that names them."""
        for bad, found in ((b"a\nb", "bare LF"), (b"a\rb", "bare CR"), (b"a\0b", "NUL")):
            for smuggled in (b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r"):
                client = self.gateway.connect()
                client.envelope()
                client.say("DATA")
                self.assertEqual(client.send(bad + smuggled + b"QUIT\r\nRSET\r\n"), [])
                [reply] = client.send(b"\r\n.\r\n")
                self.assertTrue(reply.startswith("550 5.6.0"), reply)
                self.assertIn(found, reply)
                self.assertEqual(client.message()[0][:3], "250")

    def test_line_ends_of_python_are_octets(self) -> None:
        """What str.splitlines() breaks lines at is content, also around a dot."""
        ends = [b"\v", b"\f", b"\x1c", b"\x1d", b"\x1e", b"\x85"]
        ends += [end.encode() for end in ("\x85", "\u2028", "\u2029")]
        lines = [b"a" + end + b"." + end + b"MAIL FROM:<me@example.com>" + end for end in ends]
        content = b"\r\n".join([b"Subject: x", b"", *lines, b""])
        self.assertEqual(self.gateway.connect().message(content)[0][:3], "250")
        self.assertEqual(self.gateway.contents(), [content])

    def test_too_large_is_said_behind_the_true_end(self) -> None:
        """A message over the limit is read to its end, refused, and the session lives on."""
        client = self.gateway.connect()
        client.envelope()
        client.say("DATA")
        self.assertEqual(client.send(b"x" * 1200 + b"\r\nQUIT\r\n"), [])
        self.assertEqual(client.send(b".\r\n")[0][:9], "552 5.3.4")
        self.assertEqual(client.message()[0][:3], "250")

    def test_endless_message_is_hung_up_on(self) -> None:
        """Far over the limit its end is no longer waited for."""
        client = self.gateway.connect()
        client.envelope()
        client.say("DATA")
        self.assertEqual(client.send(b"x" * 10_000), [])
        self.assertEqual(client.send(b"x" * 10)[0][:9], "552 5.3.4")
        self.assertTrue(client.wire.is_closing)
        self.assertEqual(client.send(b"\r\n.\r\nNOOP\r\n"), [])

    def test_large_header_and_loops_are_refused(self) -> None:
        """552 for a header over its limit, 554 5.4.6 for too many Received fields."""
        limits = Limits(header_size_limit=500, hopcount_limit=3, minimal_free_space=0)
        client = Gateway(self, limits=limits).connect()
        self.assertEqual(client.message(b"X: " + b"y" * 600 + b"\r\n\r\n")[0][:9], "552 5.3.4")
        hops = b"Received: by x\r\n"
        self.assertEqual(client.message(hops * 4 + b"\r\n")[0][:9], "554 5.4.6")
        self.assertEqual(client.message(hops * 3 + b"\r\n" + hops * 9)[0][:3], "250")

    def test_message_that_comes_back_again_and_again_is_refused(self) -> None:
        """554 5.4.6 long before the count of all hops: our own name is in each of its rounds."""
        gateway = Gateway(self)
        client, content = gateway.connect(), MESSAGE
        for _ in range(MOST_VISITS + 1):
            self.assertEqual(client.message(content)[0][:3], "250")
            content = gateway.messages()[-1][1]
        reply = client.message(content)[0]
        self.assertEqual(reply[:9], "554 5.4.6")
        self.assertIn(f"here {MOST_VISITS + 1} times", reply)
        quoted = MESSAGE + content  # a report about it shows its header
        self.assertEqual(client.message(quoted)[0][:3], "250")

    def test_text_without_a_header_does_not_go_on_with_our_trace_field(self) -> None:
        """A first line that begins with a space is text; it would vanish in the field before."""
        gateway = Gateway(self)
        self.assertEqual(gateway.connect().message(b"  Toner low.\r\n")[0][:3], "250")
        self.assertEqual(gateway.contents(), [b"\r\n  Toner low.\r\n"])

    def test_session_has_so_many_messages(self) -> None:
        """Then MAIL gets 421, and the client connects again."""
        client = Gateway(self, limits=Limits(transaction_limit=2, minimal_free_space=0)).connect()
        for _ in range(2):
            self.assertEqual(client.message()[0][:3], "250")
        self.assertEqual(client.say("MAIL FROM:<me@example.com>")[0][:9], "421 4.7.0")
        self.assertTrue(client.wire.is_closing)

    def test_nothing_of_a_refused_message_reaches_the_next(self) -> None:
        """After a refusal at the dot RCPT and DATA without MAIL are out of order."""
        client = self.gateway.connect()
        self.assertEqual(client.message(b"a\nb\r\n")[0][:3], "550")
        replies = client.say("RCPT TO:<a@example.net>", "DATA")
        self.assertEqual([reply[:3] for reply in replies], ["503", "503"])

    def test_data_needs_a_recipient(self) -> None:
        """DATA behind MAIL alone, or with all recipients refused, is 503."""
        client = self.gateway.connect()
        client.say("EHLO x", "MAIL FROM:<me@example.com>", "RCPT TO:<@>")
        self.assertEqual(client.say("DATA")[0][:3], "503")

    def test_lost_connection_in_data_leaves_nothing(self) -> None:
        """A client that vanishes in mid-message was promised nothing."""
        client = self.gateway.connect()
        client.envelope()
        client.say("DATA")
        client.send(b"Subject: half\r\n")
        client.drop()
        self.assertEqual(self.gateway.messages(), [])
        self.assertEqual(self.gateway.census.connections, 0)

    def test_drops_of_content_are_kept_together(self) -> None:
        """A message that comes in pieces of two octets costs no more memory than another."""
        self.gateway = Gateway(self)
        client = self.gateway.connect()
        client.envelope()
        client.say("DATA")
        content = b"Subject: x\r\n\r\n" + b"0123456789abcd\r\n" * 2000
        with mock.patch.object(Draft, "write", autospec=True, side_effect=Draft.write) as write:
            for place in range(0, len(content), 2):
                client.send(content[place : place + 2])
            self.assertEqual(client.send(b".\r\n")[0][:3], "250")
        self.assertLess(write.call_count, 3 + len(content) // SMALL)
        self.assertEqual(self.gateway.contents(), [content])

    def test_message_cut_off_is_logged(self) -> None:
        """Its sender believes it was sent, or asks where it is: the log says that it never came."""
        client = self.gateway.connect()
        client.envelope()
        client.say("DATA")
        client.send(b"Subject: half")
        client.drop()
        log = self.gateway.output.getvalue()
        self.assertIn("from=<me@example.com>", log)
        self.assertIn("ended before the message was complete", log)
        client = self.gateway.connect()
        client.envelope()
        client.say("QUIT")
        client.drop()
        self.assertEqual(self.gateway.output.getvalue(), log)

    def test_client_that_left_between_dot_and_250(self) -> None:
        """Its message is kept, the others get their answers, and the log says it left."""
        self.gateway.disk.is_stalled = True
        first, second = self.gateway.connect(), self.gateway.connect()
        for client in (first, second):
            client.envelope()
            client.say("DATA")
            client.send(MESSAGE + b".\r\n")
        first.drop()
        self.gateway.disk.run()
        self.gateway.disk.run()
        self.assertEqual(second.codes(), ["250"])
        self.assertEqual(first.heard(), [])
        self.assertEqual(len(self.gateway.accepted), 2)
        self.assertIn("the client left before it was answered", self.gateway.output.getvalue())

    def test_disk_that_fails_meanwhile_is_451(self) -> None:
        """Sessions that run when the gate closes: nothing is begun, and nothing is promised."""
        client, other = self.gateway.connect(), self.gateway.connect()
        for each in (client, other):
            each.envelope()
        client.say("DATA")
        self.gateway.spool.health.fail(OSError(errno.EIO, "broken"))
        self.assertEqual(client.send(MESSAGE + b".\r\n")[0][:9], "451 4.3.0")
        self.assertEqual(client.say("MAIL FROM:<me@example.com>")[0][:9], "451 4.3.0")
        chunk = f"BDAT {len(MESSAGE)} LAST\r\n".encode() + MESSAGE
        self.assertEqual(other.send(chunk)[0][:9], "451 4.3.0")
        self.assertEqual(self.gateway.messages(), [])

    def test_full_disk_at_data_is_logged(self) -> None:
        """What DATA is refused for is in the log like any refusal of a message."""
        client = self.gateway.connect()
        client.envelope()
        full = SpoolError(OSError(errno.ENOSPC, "full"))
        with mock.patch.object(self.gateway.spool, "draft", side_effect=full):
            self.assertEqual(client.say("DATA")[0][:9], "452 4.3.1")
        self.assertIn("452 4.3.1", self.gateway.output.getvalue())
        self.assertEqual(client.say("DATA")[0][:3], "354")

    def test_failing_sync_is_451_and_nothing_is_accepted(self) -> None:
        """The fsync fails: no 250, no entry, and the client may come back."""
        client = self.gateway.connect()
        client.envelope()
        client.say("DATA")
        broken = OSError(errno.EIO, "broken")
        with mock.patch.object(Files, "sync_all", side_effect=lambda fds: [broken] * len(fds)):
            self.assertEqual(client.send(MESSAGE + b".\r\n")[0][:9], "451 4.3.0")
        self.assertEqual(self.gateway.accepted, [])
        self.assertEqual(client.say("RCPT TO:<a@example.net>")[0][:3], "503")


class ChunkTests(SynchronousTestCase):
    """BDAT (RFC 3030)."""

    def setUp(self) -> None:
        self.gateway = Gateway(self, limits=Limits(message_size_limit=5000, minimal_free_space=0))
        self.client = self.gateway.connect()

    def test_chunks_make_a_message(self) -> None:
        """Octets are counted, not searched: dots and CRLF.CRLF are content."""
        self.client.envelope()
        content = b"Subject: x\r\n\r\n.\r\n.\r\n"
        self.assertEqual(
            self.client.send(b"BDAT 10\r\n" + content[:10]), ["250 2.0.0 Ok: 10 octets taken"]
        )
        self.assertEqual(self.client.send(b"BDAT 10 LAST\r\n" + content[10:15]), [])
        [reply] = self.client.send(content[15:])
        self.assertTrue(reply.startswith("250 2.0.0 Ok: queued as "), reply)
        self.assertEqual(self.gateway.contents(), [content])

    def test_empty_last_chunk_ends_the_message(self) -> None:
        """BDAT 0 LAST is an end without octets, and pipelines."""
        self.client.envelope()
        replies = self.client.send(b"BDAT 4\r\nX:y\nBDAT 0 LAST\r\nNOOP\r\n")
        self.assertEqual([reply[:3] for reply in replies], ["250", "550", "250"])
        self.client.envelope()
        replies = self.client.send(b"BDAT 5\r\nX:y\r\nBDAT 0 LAST\r\nNOOP\r\n")
        self.assertEqual([reply[:3] for reply in replies], ["250", "250", "250"])
        self.assertEqual(self.gateway.contents(), [b"X:y\r\n"])

    def test_chunk_out_of_order_is_swallowed(self) -> None:
        """Without a transaction the octets are read and dropped, never run, then 503."""
        replies = self.client.send(b"EHLO x\r\nBDAT 12\r\nQUIT\r\nQUIT\r\nNOOP\r\n")
        self.assertEqual([reply[:3] for reply in replies[-2:]], ["503", "250"])
        self.assertFalse(self.client.wire.is_closing)

    def test_failed_chunk_ends_the_transaction_whole(self) -> None:
        """After a refused BDAT neither DATA nor BDAT finds a recipient."""
        self.client.envelope()
        self.assertEqual(self.client.send(b"BDAT 6000\r\n" + b"x" * 6000)[0][:9], "552 5.3.4")
        replies = self.client.send(b"DATA\r\nBDAT 6 LAST\r\nQUIT\r\nRCPT TO:<a@example.net>\r\n")
        self.assertEqual([reply[:3] for reply in replies], ["503", "503", "503"])

    def test_size_is_that_of_all_chunks(self) -> None:
        """Many chunks together may be too large as well."""
        self.client.envelope()
        self.assertEqual(self.client.send(b"BDAT 3000\r\n" + b"x" * 3000)[0][:3], "250")
        self.assertEqual(self.client.send(b"BDAT 3000\r\n" + b"x" * 3000)[0][:9], "552 5.3.4")

    def test_between_chunks_only_bdat_and_rset(self) -> None:
        """MAIL, RCPT and DATA are out of order; RSET forgets the chunks."""
        self.client.envelope()
        self.client.send(b"BDAT 3\r\nabc")
        for line in ("DATA", "MAIL FROM:<me@example.com>", "RCPT TO:<a@example.net>"):
            self.assertEqual(self.client.say(line)[0][:3], "503")
        self.assertEqual(self.client.say("RSET"), ["250 2.0.0 Ok"])
        self.assertEqual(self.client.message()[0][:3], "250")
        self.assertEqual(self.gateway.contents(), [MESSAGE])

    def test_garbled_chunk_closes(self) -> None:
        """BDAT in a line that is none: what follows may be content, and is not read as commands."""
        for line in (b"BDAT 5\n", b"bdat 5\rx\r\n", b"BDAT 5" + b" " * 3000 + b"\r\n"):
            client = self.gateway.connect()
            client.envelope()
            replies = client.send(line + b"hello\r\nRSET\r\nMAIL FROM:<me@example.com>\r\n")
            self.assertEqual([reply[:3] for reply in replies], ["500"])
            self.assertTrue(client.wire.is_closing)

    def test_chunk_without_a_size_closes(self) -> None:
        """Where the content ends is unknown, so nothing behind it may be read."""
        self.client.envelope()
        replies = self.client.send(b"BDAT x\r\nMAIL FROM:<me@example.com>\r\n")
        self.assertEqual([reply[:3] for reply in replies], ["501"])
        self.assertTrue(self.client.wire.is_closing)

    def test_fault_of_our_own_still_swallows_the_chunk(self) -> None:
        """An exception where the content begins: the octets are dropped, not run, then 451."""
        self.client.envelope()
        with mock.patch.object(self.gateway.spool, "draft", side_effect=ZeroDivisionError):
            self.assertEqual(self.client.send(b"BDAT 12 LAST\r\nQUIT\r\n"), [])
            self.assertEqual(self.client.send(b"QUIT\r\n")[0][:9], "451 4.3.0")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.client.message()[0][:3], "250")

    def test_giant_chunk_closes_at_once(self) -> None:
        """What is announced to be far over the limit is not read over."""
        self.client.envelope()
        self.assertEqual(self.client.say("BDAT 99999999999")[0][:9], "552 5.3.4")
        self.assertTrue(self.client.wire.is_closing)

    def test_tiny_chunks_count_as_idle_commands(self) -> None:
        """A message in crumbs runs into the limit of commands, one in pieces does not."""
        limits = Limits(command_limit=10, minimal_free_space=0)
        client = Gateway(self, limits=limits).connect()
        client.envelope()
        piece = b"BDAT %d\r\n" % TINY_CHUNK + b"x" * TINY_CHUNK
        self.assertEqual({reply[:3] for reply in client.send(piece * 30)}, {"250"})
        self.assertEqual(client.send(b"BDAT 1\r\nx" * 30)[-1][:3], "421")

    def test_bare_line_end_across_chunks(self) -> None:
        """A CR at the end of one chunk and its LF in the next are one line end."""
        self.client.envelope()
        self.client.send(b"BDAT 4\r\nX:y\r")
        self.assertEqual(self.client.send(b"BDAT 1 LAST\r\n\n")[0][:3], "250")
        self.client.envelope()
        self.client.send(b"BDAT 4\r\nX:y\r")
        self.assertEqual(self.client.send(b"BDAT 1 LAST\r\nx")[0][:9], "550 5.6.0")
