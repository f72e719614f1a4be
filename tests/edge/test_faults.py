"""The nineteen proven faults of Twisted's own SMTP server, none of which may be ours."""

from __future__ import annotations

from unittest import mock

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.limits import Limits
from m365gw.config.settings import Listener
from m365gw.edge.receiving.content import SMALL
from m365gw.edge.session import session
from m365gw.edge.session.pump import MOST_BUFFERED
from m365gw.edge.session.session import Session
from m365gw.edge.session.timeouts import FAREWELL_SECONDS
from m365gw.smtp.commands import Mail
from m365gw.smtp.replies import Refused, Reply
from m365gw.spool.draft import Draft
from tests.edge.conversation import MESSAGE, TRUSTED, Gateway

SECURE = Listener(
    name="test",
    endpoint="tcp:0",
    tls="starttls",
    auth="offer",
    networks=(TRUSTED.cidr,),
)


class FaultTests(SynchronousTestCase):
    """Each is named after what went wrong there."""

    def setUp(self) -> None:
        self.gateway = Gateway(self)

    def slow_rule(self) -> list[Deferred[Reply]]:
        """Make MAIL wait for a policy; the Deferreds it waits for."""
        waiting: list[Deferred[Reply]] = []
        answer = session._ANSWERS[Mail]

        def slow(speaker: Session, command: object) -> Deferred[Reply]:
            promise: Deferred[Reply] = Deferred()
            waiting.append(promise)
            return promise.addCallback(lambda _: answer(speaker, command))

        self.patch(session, "_ANSWERS", {**session._ANSWERS, Mail: slow})
        return waiting

    def test_01_long_line_in_data_does_not_end_it(self) -> None:
        """A line of 100,000 octets is content, and the SMTP behind it is content too."""
        client = self.gateway.connect()
        client.envelope()
        client.say("DATA")
        forged = b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<a@example.net>\r\nDATA\r\nforged\r\n"
        long = b"Subject: x\r\n\r\n" + b"x" * 100_000
        self.assertEqual(client.send(long), [])
        self.assertEqual(client.send(b"\r\n" + forged), [])
        self.assertTrue(client.send(b".\r\n")[0].startswith("250 2.0.0 Ok: queued as "))
        self.assertEqual(self.gateway.contents(), [long + b"\r\n" + forged])

    def test_02_commands_behind_starttls_are_never_run(self) -> None:
        """What an attacker puts behind STARTTLS in the clear closes the connection."""
        client = Gateway(self, listener=SECURE).connect()
        client.say("EHLO x")
        replies = client.say("STARTTLS", "MAIL FROM:<me@example.com>", "RCPT TO:<a@example.net>")
        self.assertEqual(len(replies), 1)
        self.assertTrue(replies[0].startswith("421 4.7.0"), replies)
        self.assertIsNone(client.wire.tls_with)
        self.assertTrue(client.wire.is_closing)

    def test_03_starttls_forgets_what_was_said(self) -> None:
        """Inside TLS neither EHLO nor MAIL of before is known."""
        client = Gateway(self, listener=SECURE).connect()
        client.envelope()
        self.assertEqual(client.say("STARTTLS"), ["220 2.0.0 Ready to start TLS"])
        self.assertIs(client.wire.tls_with, client.gateway.certificate)
        client.pump.handshakeCompleted()
        self.assertEqual(client.heard(), [])
        self.assertEqual(client.say("RCPT TO:<a@example.net>")[0][:3], "503")
        self.assertEqual(client.say("MAIL FROM:<me@example.com>")[0][:3], "503")

    def test_04_replies_leave_in_order(self) -> None:
        """The reply to a recipient is never mistaken for that to another."""
        client = self.gateway.connect()
        replies = client.say(
            "EHLO x",
            "MAIL FROM:<me@example.com>",
            "RCPT TO:<a@example.net>",
            "RCPT TO:<bad",
            "RCPT TO:<b@example.net>",
        )
        self.assertEqual([reply[:3] for reply in replies[-4:]], ["250", "250", "501", "250"])

    def test_05_slow_mail_holds_what_is_pipelined(self) -> None:
        """RCPT and DATA wait for the answer to MAIL."""
        waiting = self.slow_rule()
        client = self.gateway.connect()
        client.say("EHLO x")
        self.assertEqual(
            client.say("MAIL FROM:<me@example.com>", "RCPT TO:<a@example.net>", "DATA"), []
        )
        waiting[0].callback(None)
        self.assertEqual(client.codes(), ["250", "250", "354"])

    def test_06_slow_policy_and_body_in_one_segment(self) -> None:
        """Content that arrives early waits as content; its lines are never commands."""
        waiting = self.slow_rule()
        client = self.gateway.connect()
        client.say("EHLO x")
        content = b"Subject: x\r\n\r\nRCPT TO:<evil@example.net>\r\nQUIT\r\n"
        client.send(
            b"MAIL FROM:<me@example.com>\r\nRCPT TO:<a@example.net>\r\nDATA\r\n"
            + content
            + b".\r\n"
        )
        waiting[0].callback(None)
        self.assertEqual(client.codes(), ["250", "250", "354", "250"])
        [(envelope, _)] = self.gateway.messages()
        self.assertEqual([each.address for each in envelope.recipients], ["a@example.net"])
        self.assertEqual(self.gateway.contents(), [content])

    def test_07_late_answer_does_not_reach_the_next_transaction(self) -> None:
        """RSET waits its turn, so nothing of the first message is in the second."""
        waiting = self.slow_rule()
        client = self.gateway.connect()
        client.say("EHLO x")
        client.say("MAIL FROM:<me@example.com>", "RCPT TO:<stranger@example.net>", "RSET")
        client.say("MAIL FROM:<me@example.com>", "RCPT TO:<friend@example.net>", "DATA")
        waiting[0].callback(None)
        waiting[1].callback(None)
        client.send(MESSAGE + b".\r\n")
        [(envelope, _)] = self.gateway.messages()
        self.assertEqual([each.address for each in envelope.recipients], ["friend@example.net"])

    def test_08_quit_behind_the_final_dot_gets_250_then_221(self) -> None:
        """The 250 is not lost because the client said QUIT early."""
        client = self.gateway.connect()
        client.envelope()
        client.say("DATA")
        self.gateway.disk.is_stalled = True
        self.assertEqual(client.send(MESSAGE + b".\r\nQUIT\r\n"), [])
        self.assertFalse(client.wire.is_closing)
        self.gateway.disk.run()
        self.assertEqual(client.codes(), ["250", "221"])
        self.assertTrue(client.wire.is_closing)

    def test_09_failing_store_is_a_passing_fault(self) -> None:
        """A full disk is 452, not 550: the client tries again."""
        full = Refused(Reply(452, "4.3.1", "Insufficient system storage"))
        client = self.gateway.connect()
        client.envelope()
        client.say("DATA")
        with mock.patch.object(Draft, "finish", side_effect=full):
            self.assertEqual(
                client.send(MESSAGE + b".\r\n"), ["452 4.3.1 Insufficient system storage"]
            )
        self.assertEqual(self.gateway.messages(), [])

    def test_10_no_timeout_while_we_are_the_slow_one(self) -> None:
        """However long the commit takes, the client hears what became of it."""
        client = self.gateway.connect()
        client.envelope()
        client.say("DATA")
        self.gateway.disk.is_stalled = True
        client.send(MESSAGE + b".\r\n")
        self.gateway.clock.pump([100.0] * 20)
        self.assertEqual(client.heard(), [])
        self.gateway.disk.run()
        self.assertEqual(client.codes(), ["250"])

    def test_11_endless_command_line_is_refused_once_and_not_kept(self) -> None:
        """A command without an end costs one reply and no memory."""
        client = self.gateway.connect()
        replies = client.send(b"A" * 100_000)
        for _ in range(20):
            replies += client.send(b"A" * 100_000)
        self.assertEqual([reply[:3] for reply in replies], ["500"])
        self.assertLess(client.pump.buffered, 10)
        self.assertEqual(client.send(b"\r\nNOOP\r\n"), ["250 2.0.0 Ok"])

    def test_11b_endless_command_line_runs_into_the_timeout(self) -> None:
        """Octets alone do not move the deadline: only a whole command does."""
        client = self.gateway.connect()
        for _ in range(10):
            client.send(b"A")
            self.gateway.clock.advance(30.5)
        self.assertEqual(client.codes(), ["421"])

    def test_12_peer_that_never_reads_is_not_read_from(self) -> None:
        """When replies pile up the transport stops reading, and so does the pump."""
        client = self.gateway.connect()
        self.assertTrue(client.wire.streaming)
        client.wire.producer.pauseProducing()
        self.assertEqual(client.wire.producerState, "paused")
        self.assertEqual(client.say("NOOP"), [])
        client.wire.producer.resumeProducing()
        self.assertEqual(client.heard(), ["250 2.0.0 Ok"])
        self.assertEqual(client.wire.producerState, "producing")

    def test_12b_what_arrives_while_we_work_is_bounded(self) -> None:
        """Behind a message being committed only so much is buffered before reading stops."""
        limits = Limits(command_limit=100_000, minimal_free_space=0)
        self.gateway = Gateway(self, limits=limits)
        client = self.gateway.connect()
        client.envelope()
        client.say("DATA")
        self.gateway.disk.is_stalled = True
        client.send(MESSAGE + b".\r\n")
        client.send(b"NOOP\r\n" * (MOST_BUFFERED // 6))
        self.assertEqual(client.wire.producerState, "producing")
        client.send(b"NOOP\r\n")
        self.assertEqual(client.wire.producerState, "paused")
        self.gateway.disk.run()
        self.assertEqual(client.wire.producerState, "producing")

    def test_12c_peer_that_never_takes_the_last_reply_is_cut_off(self) -> None:
        """A closing connection waits for its peer only so long."""
        client = self.gateway.connect()
        client.say("QUIT")
        self.assertIsNone(client.wire.producer)
        self.assertTrue(client.wire.disconnecting)
        self.assertFalse(client.wire.disconnected)
        self.gateway.clock.advance(FAREWELL_SECONDS)
        self.assertTrue(client.wire.disconnected)

    def test_13_errors_are_limited(self) -> None:
        """A client that makes nothing but errors is sent away."""
        gateway = Gateway(self, limits=Limits(hard_error_limit=3))
        client = gateway.connect()
        replies = client.say(*["BOGUS"] * 50)
        self.assertEqual([reply[:3] for reply in replies], ["500"] * 4 + ["421"])
        self.assertTrue(client.wire.is_closing)

    def test_14_recipients_are_limited(self) -> None:
        """Beyond the limit 452, and those taken stay taken (RFC 5321 4.5.3.1.10)."""
        gateway = Gateway(self, limits=Limits(recipient_limit=2, minimal_free_space=0))
        client = gateway.connect()
        replies = client.envelope("a@example.net", "b@example.net", "c@example.net")
        self.assertTrue(replies[-1].startswith("452 4.5.3"), replies)
        client.say("DATA")
        client.send(MESSAGE + b".\r\n")
        [(envelope, _)] = gateway.messages()
        self.assertEqual(len(envelope.recipients), 2)

    def test_15_malformed_commands_get_a_reply(self) -> None:
        """AUTH without argument, a verb that is not ASCII, AUTH PLAIN with one field: all 5xx."""
        plain = Listener(name="t", endpoint="tcp:0", tls="none", quirks=("plaintext-auth",))
        client = Gateway(self, listener=plain).connect()
        client.say("EHLO x")
        for line in (
            b"AUTH\r\n",
            b"\xff\xfe\r\n",
            b"AUTH PLAIN b25l\r\n",
            b"\xc3\xa9\r\n",
            b"\r\n",
        ):
            [reply] = client.send(line)
            self.assertEqual(reply[0], "5", reply)
        self.assertEqual(client.say("NOOP"), ["250 2.0.0 Ok"])

    def test_16_exception_while_content_arrives_is_451(self) -> None:
        """A fault of our own in the middle of DATA: read on to its end, then 451."""
        client = self.gateway.connect()
        client.envelope()
        client.say("DATA")
        with mock.patch.object(Draft, "write", side_effect=ZeroDivisionError):
            self.assertEqual(client.send(b"Subject: x\r\n\r\n" + b"x" * SMALL), [])
        self.assertEqual(client.send(b"\r\nQUIT\r\n.\r\n")[0][:9], "451 4.3.0")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.gateway.messages(), [])
        self.assertEqual(client.message()[0][:3], "250")

    def test_16b_exception_in_a_policy_is_451(self) -> None:
        """A fault of our own in a command: 451, logged, and the session goes on."""
        client = self.gateway.connect()
        client.say("EHLO x")
        with mock.patch.object(self.gateway.doorway.admission, "rule_for", side_effect=KeyError):
            self.assertEqual(client.say("MAIL FROM:<me@example.com>")[0][:9], "451 4.3.0")
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(client.say("MAIL FROM:<me@example.com>")[0][:3], "250")

    def test_17_passwords_are_not_taken_in_the_clear(self) -> None:
        """AUTH is neither offered nor taken before TLS."""
        client = Gateway(self, listener=SECURE).connect()
        offers = client.say("EHLO x")
        self.assertIn("250-STARTTLS", offers)
        self.assertFalse([offer for offer in offers if "AUTH" in offer])
        self.assertEqual(client.say("AUTH PLAIN AGEAYg==")[0][:10], "538 5.7.11")

    def test_17b_starttls_is_not_offered_inside_tls(self) -> None:
        """Neither behind STARTTLS nor on a port with TLS from the start."""
        implicit = Listener(name="t", endpoint="tcp:0", tls="implicit")
        for listener in (SECURE, implicit):
            client = Gateway(self, listener=listener).connect()
            if listener is SECURE:
                client.say("STARTTLS")
            self.assertEqual(client.heard(), [])
            client.pump.handshakeCompleted()
            client.heard()
            offers = client.say("EHLO x")
            self.assertIn("250-AUTH PLAIN LOGIN", offers)
            self.assertNotIn("250-STARTTLS", offers)
            self.assertEqual(client.say("STARTTLS")[0][:3], "502")

    def test_18_order_and_parameters_are_checked(self) -> None:
        """MAIL needs EHLO, EHLO needs a name, parameters are known or refused."""
        client = self.gateway.connect()
        self.assertEqual(client.say("MAIL FROM:<me@example.com>")[0][:3], "503")
        self.assertEqual(client.say("EHLO")[0][:3], "501")
        client.say("EHLO x")
        self.assertEqual(client.say("MAIL FROM:<me@example.com> FOO=BAR")[0][:3], "555")
        self.assertEqual(
            client.say("MAIL FROM:<me@example.com> SIZE=999999999999")[0][:9], "552 5.3.4"
        )
        client.say("MAIL FROM:<me@example.com> SIZE=1000 RET=HDRS ENVID=QQ")
        self.assertEqual(client.say("RCPT TO:<a@example.net> BOGUS")[0][:3], "555")
        client.say("RCPT TO:<a@example.net> NOTIFY=NEVER", "DATA")
        client.send(MESSAGE + b".\r\n")
        [(envelope, _)] = self.gateway.messages()
        self.assertEqual((envelope.ret, envelope.envid), ("HDRS", "QQ"))
        self.assertEqual(envelope.recipients[0].notify, frozenset({"NEVER"}))

    def test_19_message_is_not_edited(self) -> None:
        """Whatever the content is, it comes out as it went in, behind one field of ours."""
        contents = (
            b"",
            b"no header\r\n",
            b"\r\n",
            b"a\r\n.\r\n",
            b"\x80\xff: \xc3\xa9\r\n\r\n..\r\n",
        )
        for content in contents:
            client = self.gateway.connect()
            client.message(content.replace(b"\r\n.", b"\r\n.."))
        self.assertEqual(self.gateway.contents(), list(contents))
