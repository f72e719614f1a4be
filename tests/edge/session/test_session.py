"""What a session answers, and when."""

from __future__ import annotations

import base64

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.limits import Limits
from m365gw.config.settings import Client, Listener
from m365gw.directory import passwords
from tests.edge.conversation import MESSAGE, OPEN, TRUSTED, Conversation, Gateway

PASSWORD, HASH = passwords.generate()
FAX = Client(
    login="fax", password_hash=HASH, senders=("fax@example.com",), mailbox="fax@example.com"
)
SUBMISSION = Listener(name="submission", endpoint="tcp:0", tls="starttls", auth="require")
OFFERS = ["8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES"]


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def plain(login: str, password: str) -> str:
    return b64(f"\0{login}\0{password}")


def words(replies: list[str]) -> list[str]:
    """Replies to EHLO without their codes."""
    return [reply[4:] for reply in replies]


class GreetingTests(SynchronousTestCase):
    """The first words."""

    def test_greeting_names_the_host_and_no_version(self) -> None:
        """RFC 5321 4.2: 220 and the name; what version runs here is nobody's business."""
        self.assertEqual(Gateway(self).connect().greeting, ["220 gw.example.com ESMTP m365gw"])

    def test_ehlo_offers_what_is_carried_through(self) -> None:
        """Exactly these extensions, where TLS and AUTH may be used neither more nor less."""
        size = "SIZE 36700160"
        before = ["gw.example.com", "PIPELINING", size]
        client = Gateway(self, listener=OPEN).connect()
        self.assertEqual(words(client.say("EHLO x")), [*before, *OFFERS])
        client = Gateway(self, listener=SUBMISSION, clients=[FAX]).connect()
        self.assertEqual(words(client.say("EHLO x")), [*before, "STARTTLS", *OFFERS])
        client.say("STARTTLS")
        client.pump.handshakeCompleted()
        self.assertEqual(words(client.say("EHLO x")), [*before, "AUTH PLAIN LOGIN", *OFFERS])
        client.say(f"AUTH PLAIN {plain('fax', PASSWORD)}")
        self.assertEqual(words(client.say("EHLO x")), [*before, *OFFERS])

    def test_helo_clients_work(self) -> None:
        """A client that knows no EHLO sends its message, and the trace says SMTP."""
        client = Gateway(self).connect()
        self.assertEqual(client.say("HELO fax"), ["250 gw.example.com"])
        client.say("MAIL FROM:<me@example.com>", "RCPT TO:<you@example.net>", "DATA")
        self.assertEqual(client.send(MESSAGE + b".\r\n")[0][:3], "250")
        [(_, octets)] = client.gateway.messages()
        self.assertIn(b" with SMTP id ", octets)

    def test_ehlo_resets(self) -> None:
        """EHLO in a transaction ends it (RFC 5321 4.1.4)."""
        client = Gateway(self).connect()
        client.envelope()
        client.say("EHLO again")
        self.assertEqual(client.say("DATA")[0][:3], "503")

    def test_stranger_is_sent_away_at_once(self) -> None:
        """An HTTP request gets one reply and the log says what it was."""
        client = Gateway(self).connect()
        replies = client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual([reply[:3] for reply in replies], ["421"])
        self.assertTrue(client.wire.is_closing)
        self.assertIn("HTTP request", client.gateway.output.getvalue())

    def test_stranger_is_known_by_a_later_line_too(self) -> None:
        """Its first octets may come one by one, and a browser may say something else before."""
        for said in (b"POST / HTTP/1.1\r\n", b"\x16\x03\x01\x02\n"):
            client = Gateway(self).connect()
            client.say("NOOP")
            for octet in said:
                replies = client.send(bytes([octet]))
            self.assertEqual(replies, ["421 4.7.0 This server speaks SMTP, and nothing else"])
            self.assertTrue(client.wire.is_closing)

    def test_small_verbs(self) -> None:
        """NOOP, VRFY, EXPN, HELP, RSET and QUIT answer at any time."""
        client = Gateway(self).connect()
        replies = client.say("NOOP x", "VRFY a", "EXPN b", "RSET", "BOGUS", "HELP", "QUIT")
        codes = [reply[:3] for reply in replies]
        self.assertEqual(codes, ["250", "252", "502", "250", "500", "214", "214", "214", "221"])
        self.assertTrue(client.wire.is_closing)

    def test_refused_commands_are_logged_without_what_they_said(self) -> None:
        """The reason is in the log; the line is not, as it may be a password out of step."""
        client = Gateway(self).connect()
        client.say("EHLO x", "MAIL FROM:<me@example.com> SOLICIT=x", b64("secret password"))
        client.say("MAIL FROM:<me@@example.com>")
        client.send(b"secret\n")
        log = client.gateway.output.getvalue()
        for part in ("555 5.5.4 Unknown parameter: SOLICIT", "501 5.1.7", "bare LF", "helo=x"):
            self.assertIn(part, log)
        self.assertNotIn("secret", log)
        self.assertNotIn(b64("secret password"), log)

    def test_line_over_the_limit_is_refused_though_auth_may_be_longer(self) -> None:
        """Where AUTH is taken long lines are read, but only AUTH may use them."""
        listener = Listener(name="t", endpoint="tcp:0", tls="none", quirks=("plaintext-auth",))
        client = Gateway(self, listener=listener, clients=[FAX]).connect()
        client.say("EHLO x")
        self.assertEqual(client.say("NOOP " + "x" * 3000)[0][:9], "500 5.5.2")
        self.assertEqual(client.say("AUTH PLAIN " + plain("fax", "x" * 3000)), [])
        client.gateway.clock.advance(10)
        self.assertEqual(client.codes(), ["535"])

    def test_idle_commands_are_limited(self) -> None:
        """A client that talks and sends nothing is sent away; recipients do not count."""
        gateway = Gateway(self, limits=Limits(command_limit=10, minimal_free_space=0))
        client = gateway.connect()
        client.envelope(*(f"a{number}@example.net" for number in range(50)))
        self.assertEqual(client.say("DATA")[0][:3], "354")
        self.assertEqual(client.send(MESSAGE + b".\r\n")[0][:3], "250")
        replies = client.say(*["NOOP"] * 20)
        self.assertEqual([reply[:3] for reply in replies], ["250"] * 11 + ["421"])


class LoginTests(SynchronousTestCase):
    """AUTH."""

    def setUp(self) -> None:
        self.gateway = Gateway(self, listener=SUBMISSION, clients=[FAX])
        self.client = self.inside_tls()

    def inside_tls(self) -> Conversation:
        client = self.gateway.connect()
        client.say("EHLO x", "STARTTLS")
        client.say("STARTTLS")
        client.pump.handshakeCompleted()
        client.say("EHLO fax.example.com")
        return client

    def test_plain_with_initial_response(self) -> None:
        """The usual way: one line, and mail leaves by the login's mailbox."""
        client = self.client
        self.assertEqual(
            client.say(f"auth plain {plain('fax', PASSWORD)}"),
            ["235 2.7.0 Authentication successful"],
        )
        client.say("MAIL FROM:<fax@example.com>", "RCPT TO:<you@example.net>", "DATA")
        client.send(MESSAGE + b".\r\n")
        [entry] = self.gateway.accepted
        message = self.gateway.spool.claim(entry)
        self.addCleanup(message.close)
        origin = message.origin
        self.assertEqual((origin.login, origin.mailbox), ("fax", "fax@example.com"))
        self.assertEqual(origin.protocol, "ESMTPSA")
        self.assertEqual(origin.tls, "TLSv1.3 TLS_AES_256_GCM_SHA384")
        self.assertIn("sasl_method=PLAIN, sasl_username=fax", self.gateway.output.getvalue())

    def test_plain_in_two_steps(self) -> None:
        """Without initial response an empty challenge comes first."""
        self.assertEqual(self.client.say("AUTH PLAIN"), ["334 "])
        self.assertEqual(self.client.say(plain("fax", PASSWORD))[0][:3], "235")

    def test_login_prompts_are_exact(self) -> None:
        """Printers compare the prompts octet for octet."""
        self.assertEqual(self.client.say("AUTH LOGIN"), [f"334 {b64('Username:')}"])
        self.assertEqual(self.client.say(b64("fax")), [f"334 {b64('Password:')}"])
        self.assertEqual(self.client.say(b64(PASSWORD))[0][:3], "235")

    def test_login_with_the_name_in_the_command(self) -> None:
        """.NET sends AUTH login with the name behind it."""
        self.assertEqual(self.client.say(f"AUTH login {b64('fax')}"), [f"334 {b64('Password:')}"])
        self.assertEqual(self.client.say(b64(PASSWORD))[0][:3], "235")

    def test_wrong_password_is_535_after_a_wait(self) -> None:
        """Nothing behind it is answered before, and the session goes on."""
        self.assertEqual(self.client.say(f"AUTH PLAIN {plain('fax', 'not-his')}", "NOOP"), [])
        self.gateway.clock.advance(1)
        self.assertEqual(self.client.codes(), ["535", "250"])
        self.assertIn("sasl_username=fax", self.gateway.output.getvalue())
        self.assertNotIn("not-his", self.gateway.output.getvalue())
        self.assertEqual(self.client.say(f"AUTH PLAIN {plain('fax', PASSWORD)}")[0][:3], "235")

    def test_too_many_failed_logins_end_the_session(self) -> None:
        """Guessing goes on in another connection, later, or not at all."""
        codes: list[str] = []
        for number in range(5):
            self.client.say(f"AUTH PLAIN {plain('fax', f'guess {number}')}")
            self.gateway.clock.advance(31)
            codes += self.client.codes()
        self.assertEqual(codes, ["535"] * 4 + ["421"])
        self.assertTrue(self.client.wire.is_closing)

    def test_cancelled_and_malformed_exchanges(self) -> None:
        """An asterisk is 501, bad base64 is 501, and the next line is a command again."""
        self.client.say("AUTH LOGIN")
        self.assertEqual(self.client.say("*")[0][:3], "501")
        self.client.say("AUTH PLAIN")
        self.assertEqual(self.client.say("not base64!")[0][:3], "501")
        self.assertEqual(self.client.say("NOOP"), ["250 2.0.0 Ok"])

    def test_garbled_response_ends_the_exchange(self) -> None:
        """After the 500 the next line is a command again: the client knows nothing else."""
        client = self.inside_tls()
        for garbled in (b"x" * 13_000 + b"\r\n", b"AAAA\nAAAA\r\n", b"AA\0A\r\n"):
            client.say("AUTH LOGIN")
            self.assertEqual(client.send(garbled)[0][:3], "500")
            self.assertEqual(client.say("NOOP"), ["250 2.0.0 Ok"])

    def test_refused_exchanges_are_logged(self) -> None:
        """A device that wants another mechanism fails in silence unless the log says so."""
        client = self.inside_tls()
        client.say("AUTH CRAM-MD5", f"AUTH PLAIN {b64('boss')}")
        log = client.gateway.output.getvalue()
        client = self.gateway.connect()
        client.say("EHLO x", f"AUTH PLAIN {plain('fax', PASSWORD)}")
        client = Gateway(self, listener=OPEN).connect()
        client.say("EHLO x", f"AUTH PLAIN {plain('fax', PASSWORD)}")
        self.assertIn("sasl_method=PLAIN (538 5.7.11", self.gateway.output.getvalue())
        self.assertIn("sasl_method=PLAIN (502 5.5.1", client.gateway.output.getvalue())
        self.assertIn("sasl_method=CRAM-MD5 (504 5.5.4", log)
        self.assertIn("sasl_method=PLAIN (501 5.5.2", log)

    def test_other_mechanisms_are_504(self) -> None:
        """CRAM-MD5 needs passwords in the clear on our side; it is never taken."""
        self.assertEqual(self.client.say("AUTH CRAM-MD5")[0][:3], "504")

    def test_auth_out_of_order(self) -> None:
        """Before EHLO, twice, or in a transaction: 503."""
        client = self.gateway.connect()
        client.say("STARTTLS")
        client.pump.handshakeCompleted()
        self.assertEqual(client.say("AUTH PLAIN")[0][:3], "503")
        self.client.say(f"AUTH PLAIN {plain('fax', PASSWORD)}")
        self.assertEqual(self.client.say("AUTH PLAIN")[0][:3], "503")
        trusting = Listener(
            name="t",
            endpoint="tcp:0",
            tls="none",
            quirks=("plaintext-auth",),
            networks=(TRUSTED.cidr,),
        )
        client = Gateway(self, listener=trusting, clients=[FAX]).connect()
        client.envelope()
        self.assertEqual(client.say("AUTH PLAIN")[0][:3], "503")

    def test_quirk_allows_passwords_in_the_clear(self) -> None:
        """A listener for old devices may say so, and only then."""
        quirky = Listener(name="t", endpoint="tcp:0", tls="none", quirks=("plaintext-auth",))
        client = Gateway(self, listener=quirky, clients=[FAX]).connect()
        self.assertIn("250-AUTH PLAIN LOGIN", client.say("EHLO x"))
        self.assertEqual(client.say(f"AUTH PLAIN {plain('fax', PASSWORD)}")[0][:3], "235")

    def test_login_replaces_the_network(self) -> None:
        """After AUTH the rule of the login holds, and the one asked for before is forgotten."""
        trusting = Listener(
            name="t",
            endpoint="tcp:0",
            tls="none",
            quirks=("plaintext-auth",),
            networks=(TRUSTED.cidr,),
        )
        client = Gateway(self, listener=trusting, clients=[FAX]).connect()
        client.envelope()
        client.say("RSET", f"AUTH PLAIN {plain('fax', PASSWORD)}")
        [reply] = client.say("MAIL FROM:<me@example.com>")
        self.assertTrue(reply.startswith('553 5.7.1 login "fax"'), reply)

    def test_no_password_is_ever_logged(self) -> None:
        """Not at debug level either, whichever way it came and whatever became of it."""
        self.client.say(f"AUTH PLAIN {plain('fax', PASSWORD)}")
        other = self.inside_tls()
        other.say("AUTH LOGIN", b64("fax"), b64("s3cret-s3cret"))
        self.gateway.clock.advance(5)
        self.assertEqual(other.codes()[-1], "535")
        output = self.gateway.output.getvalue()
        for secret in (PASSWORD, b64(PASSWORD), plain("fax", PASSWORD), "s3cret-s3cret"):
            self.assertNotIn(secret, output)
