"""A trace shows the dialogue, and no secret, whatever form of AUTH a client chooses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.edge.session.shown import shown
from m365gw.tracing import Watch, Wish
from tests.edge.conversation import MESSAGE, OPEN, Conversation, Gateway
from tests.edge.session.test_session import FAX, PASSWORD, SUBMISSION, b64, plain

TOKEN = "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA"
SECRETS = (PASSWORD, b64(PASSWORD), plain("fax", PASSWORD), TOKEN, "c2VjcmV0", "s3cr3t")


class TraceTestCase(SynchronousTestCase):
    def watched(self, gateway: Gateway, **wish: str) -> Watch:
        self.clock = gateway.clock
        return gateway.log.tracing.watch(Wish(**wish), 3600)

    def texts(self, watch: Watch) -> list[str]:
        return [f"{line.speaker}: {line.text}" for line in watch.since(0, self.clock.seconds())]

    def secure(self) -> tuple[Conversation, Watch]:
        gateway = Gateway(self, listener=SUBMISSION, clients=[FAX])
        watch = self.watched(gateway)
        client = gateway.connect()
        client.say("EHLO x", "STARTTLS")
        client.pump.handshakeCompleted()
        client.say("EHLO x")
        return client, watch


class DialogueTests(TraceTestCase):
    def test_both_directions_and_no_content(self) -> None:
        """Commands and replies as they were; of the message only how large it is."""
        gateway = Gateway(self, listener=OPEN)
        watch = self.watched(gateway)
        client = gateway.connect()
        client.say("EHLO x", "MAIL FROM:<me@example.com>", "RCPT TO:<you@example.net>", "DATA")
        client.send(MESSAGE + b".\r\n")
        gateway.disk.run()
        client.say("QUIT")
        said = self.texts(watch)
        self.assertIn("C: MAIL FROM:<me@example.com>", said)
        self.assertIn("S: 354 End data with <CR><LF>.<CR><LF>", said)
        self.assertIn(f"C: [{len(MESSAGE)} octets of content]", said)
        self.assertTrue(any(line.startswith("S: 250 2.0.0 Ok: queued as ") for line in said))
        self.assertEqual(said[-1], "S: 221 2.0.0 Bye")
        client.pump.connectionLost()
        self.assertEqual(self.texts(watch)[-1], "*: the session ends")
        content = MESSAGE.decode().split("\r\n")
        self.assertEqual([line for line in content if line and line in "\n".join(said)], [])

    def test_a_session_is_seen_from_the_moment_somebody_watches(self) -> None:
        """Also one that began before; one that is not asked for is not shown."""
        gateway = Gateway(self, listener=OPEN)
        client = gateway.connect()
        client.say("EHLO x")
        ours, others = self.watched(gateway), self.watched(gateway, client="192.0.2.250")
        client.say("NOOP")
        self.assertEqual(self.texts(ours)[1:], ["C: NOOP", "S: 250 2.0.0 Ok"])
        self.assertEqual(self.texts(others), [])

    def test_by_login_and_by_mailbox(self) -> None:
        """The login shows what led to it, the mailbox what a message said before it was known."""
        client, _ = self.secure()
        by_login = self.watched(client.gateway, login="fax")
        by_mailbox = self.watched(client.gateway, mailbox="fax@example.com")
        client.say(f"AUTH PLAIN {plain('fax', PASSWORD)}")
        self.assertIn("C: AUTH PLAIN [hidden]", self.texts(by_login))
        self.assertEqual(self.texts(by_mailbox), [])
        client.say("MAIL FROM:<fax@example.com>")
        self.assertIn("S: 250 2.1.0 Ok", self.texts(by_mailbox))

    def test_nothing_is_kept_while_nobody_watches(self) -> None:
        """A session that is not watched never becomes a conversation."""
        gateway = Gateway(self, listener=OPEN)
        begun: list[object] = []
        self.patch(gateway.log.tracing, "begin", lambda *args, **known: begun.append(args))
        client = gateway.connect()
        client.say("EHLO x", "MAIL FROM:<me@example.com>", "RCPT TO:<you@example.net>", "QUIT")
        self.assertEqual(begun, [])


class SecretTests(TraceTestCase):
    FORMS = (
        [f"AUTH PLAIN {plain('fax', PASSWORD)}"],
        ["AUTH PLAIN", plain("fax", PASSWORD)],
        ["AUTH PLAIN =", plain("fax", PASSWORD)],
        ["auth  plain   " + plain("fax", PASSWORD)],
        ["AUTH LOGIN", b64("fax"), b64(PASSWORD)],
        [f"AUTH LOGIN {b64('fax')}", b64(PASSWORD)],
        ["AUTH LOGIN", b64("fax"), "*", b64(PASSWORD)],
        ["AUTH LOGIN", b64("fax"), PASSWORD],
        [f"AUTH XOAUTH2 {TOKEN}"],
        ["AUTH XOAUTH2", TOKEN],
        [f"AUTH OAUTHBEARER {TOKEN}", TOKEN],
        [f"AUTH {TOKEN}"],
        [f"AUTH={PASSWORD}"],
        [f"AUTH PLAIN {PASSWORD} more {TOKEN}"],
        [f"AUTH\tPLAIN\t{PASSWORD}"],
        ["AUTH CRAM-MD5", b64("fax s3cr3t")],
        [b64(PASSWORD)],
        [PASSWORD],
        [f"NOOP {PASSWORD}", f"QUIT {PASSWORD}", f"RSET {PASSWORD}"],
        [f"HELP {PASSWORD}", f"VRFY {PASSWORD}", f"STARTTLS {TOKEN}"],
        [f"PASS {PASSWORD}", f"X-TOKEN: {TOKEN}", f"Authorization: Bearer {TOKEN}"],
        [PASSWORD + "x" * 20000],
    )

    def test_no_form_of_auth_shows_a_secret(self) -> None:
        """Right or wrong, early or out of step, by a mechanism we have or not."""
        for form in self.FORMS:
            with self.subTest(form=form[0][:20]):
                client, watch = self.secure()
                for line in form:
                    client.say(line)
                client.say("NOOP")
                said = "\n".join(self.texts(watch))
                self.assertIn("C: EHLO x", said)
                self.assertEqual([secret for secret in SECRETS if secret in said], [])

    def test_pipelined_and_in_pieces(self) -> None:
        """However the octets come."""
        whole = "\r\n".join(line for form in self.FORMS for line in form).encode() + b"\r\n"
        for size in (1, 7, 4096):
            client, watch = self.secure()
            for start in range(0, len(whole), size):
                client.send(whole[start : start + size])
            said = "\n".join(self.texts(watch))
            self.assertEqual([secret for secret in SECRETS if secret in said], [])

    @given(st.binary(min_size=8, max_size=60).filter(lambda octets: b" " not in octets))
    def test_a_word_that_is_no_verb_is_never_shown(self, octets: bytes) -> None:
        """It may be a password that came out of step."""
        line = b"%s c2VjcmV0" % octets
        self.assertNotIn("c2VjcmV0", shown(line, is_response=False))
        self.assertEqual(shown(line, is_response=True), "[response to AUTH, hidden]")
