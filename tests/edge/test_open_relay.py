"""An address nobody trusts relays nothing, whatever it says of itself.

Each test is a way that opened some relay once. The listener trusts 192.0.2.0/24, and logins.
"""

from __future__ import annotations

from base64 import b64encode
from ipaddress import ip_address

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Client, Listener
from m365gw.directory import passwords
from m365gw.smtp.proxy import Header
from tests.edge.conversation import MESSAGE, TRUSTED, Conversation, Gateway
from tests.smtp.proxy_header import version_1, version_2

INSIDE, OUTSIDE, BALANCER = "192.0.2.7", "203.0.113.9", "198.51.100.1"
PASSWORD, HASH = passwords.generate()
ERP = Client(
    login="erp", password_hash=HASH, senders=("erp@example.com",), mailbox="relay@example.com"
)
LISTENER = Listener(
    name="in",
    endpoint="tcp:0",
    auth="offer",
    networks=(TRUSTED.cidr,),
    proxy_from=(BALANCER,),
    quirks=("plaintext-auth",),
)


def header(source: str) -> Header:
    listening = "2001:db8::1" if ":" in source else BALANCER
    return Header(source=(ip_address(source), 4025), destination=(ip_address(listening), 25))


def plain(password: str) -> str:
    return "AUTH PLAIN " + b64encode(f"\0erp\0{password}".encode()).decode()


class OpenRelayTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = Gateway(self, listener=LISTENER, clients=(ERP,))

    def assert_closed(self, talk: Conversation, *words: str) -> None:
        """Neither these words nor a plain envelope get a message in."""
        before = len(self.gateway.accepted)
        for sender in ("me@example.com", "erp@example.com"):
            talk.say("EHLO x", *words)
            envelope = (f"MAIL FROM:<{sender}>", "RCPT TO:<you@elsewhere.example>", "DATA")
            codes = [line[:9] for line in talk.say(*envelope)]
            self.assertEqual(codes, ["530 5.7.0", "503 5.5.1", "503 5.5.1"])
        talk.say(f"BDAT {len(MESSAGE)} LAST")
        self.assertEqual([line[:3] for line in talk.send(MESSAGE)], ["503"])
        self.assertEqual(len(self.gateway.accepted), before)

    def assert_open(self, talk: Conversation) -> None:
        """The same words are good from a trusted address: the tests test something."""
        self.assertEqual(talk.message()[0][:3], "250")

    def test_plain(self) -> None:
        """Just so."""
        self.assert_closed(self.gateway.connect(OUTSIDE))
        self.assert_open(self.gateway.connect(INSIDE))

    def test_mapped_addresses(self) -> None:
        """IPv4 in IPv6 is the IPv4 address; one that only looks like it is not."""
        self.assert_open(self.gateway.connect(f"::ffff:{INSIDE}"))
        for host in (f"::ffff:{OUTSIDE}", f"::{INSIDE}", f"64:ff9b::{INSIDE}", "2002:c000:207::1"):
            with self.subTest(host=host):
                self.assert_closed(self.gateway.connect(host))

    def test_behind_a_balancer_the_client_counts(self) -> None:
        """Not the balancer, in whatever network that is."""
        balanced = evolve(LISTENER, networks=(TRUSTED.cidr, "198.51.100.0/24"))
        inner = evolve(TRUSTED, cidr="198.51.100.0/24")
        self.gateway = Gateway(self, listener=balanced, clients=(ERP,), networks=(TRUSTED, inner))
        for version in (version_1, version_2):
            for octets in (version(header(OUTSIDE)), version(header(f"::ffff:{OUTSIDE}"))):
                talk = self.gateway.connect(BALANCER)
                talk.send(octets)
                self.assert_closed(talk)
            talk = self.gateway.connect(BALANCER)
            talk.send(version(header(INSIDE)))
            self.assert_open(talk)
        talk = self.gateway.connect(BALANCER)
        talk.send(b"PROXY UNKNOWN\r\n")
        self.assert_closed(talk)

    def test_a_header_of_ones_own_is_none(self) -> None:
        """Who is no balancer cannot say who it is."""
        again = self.gateway.connect(BALANCER)
        again.send(version_1(header(OUTSIDE)))
        for talk in (self.gateway.connect(OUTSIDE), self.gateway.connect(OUTSIDE), again):
            for octets in (version_1(header(INSIDE)), version_2(header(INSIDE))):
                said = talk.send(octets)
                self.assertNotIn("2", [line[:1] for line in said])
            if not talk.wire.is_closing:
                self.assert_closed(talk)

    def test_forms_of_the_recipient(self) -> None:
        """Percent hack, bang path, source route, quotes, postmaster: none is another way in."""
        for recipient in (
            "<you%elsewhere.example@example.com>",
            "<elsewhere.example!you@example.com>",
            "<@example.com:you@elsewhere.example>",
            '<"you@elsewhere.example"@example.com>',
            "<Postmaster>",
            "<relay@example.com>",
            "you@elsewhere.example",
        ):
            with self.subTest(recipient=recipient):
                talk = self.gateway.connect(OUTSIDE)
                said = talk.say(
                    "EHLO x", "MAIL FROM:<me@example.com>", f"RCPT TO:{recipient}", "DATA"
                )
                self.assertEqual([line[:3] for line in said[-3:]], ["530", "503", "503"])

    def test_forms_of_the_sender(self) -> None:
        """The null sender, one of ours, and source routes, with AUTH= of RFC 4954 5."""
        for sender in (
            "<>",
            "<relay@example.com>",
            "<@example.com:me@elsewhere.example>",
            '<"me@example.com"@elsewhere.example>',
            "<me@example.com> AUTH=erp@example.com",
            "<me@example.com> AUTH=<>",
            "<me@example.com> SIZE=10 BODY=8BITMIME",
        ):
            with self.subTest(sender=sender):
                talk = self.gateway.connect(OUTSIDE)
                said = talk.say("EHLO x", f"MAIL FROM:{sender}", "RCPT TO:<you@elsewhere.example>")
                self.assertEqual([line[:3] for line in said[-2:]], ["530", "503"])

    def test_what_a_client_calls_itself(self) -> None:
        """A name or an address in HELO proves nothing, nor do commands and fields of proxies."""
        for words in (
            ("HELO gw.example.com",),
            (f"EHLO [{INSIDE}]",),
            ("EHLO localhost",),
            (f"XCLIENT ADDR={INSIDE} LOGIN=erp",),
            (f"XFORWARD ADDR={INSIDE}",),
            (f"X-Forwarded-For: {INSIDE}",),
            (f"Received: from [{INSIDE}]",),
        ):
            with self.subTest(words=words):
                self.assert_closed(self.gateway.connect(OUTSIDE), *words)

    def test_after_a_login_that_failed(self) -> None:
        """Wrong, broken off, or begun and left."""
        for words in (
            (plain("wrong"),),
            ("AUTH LOGIN", "ZXJw", "*"),
            ("AUTH PLAIN", "*"),
            ("AUTH CRAM-MD5",),
            ("AUTH PLAIN =",),
        ):
            with self.subTest(words=words):
                talk = self.gateway.connect(OUTSIDE)
                talk.say("EHLO x", *words)
                self.gateway.clock.advance(60)
                talk.heard()
                self.assert_closed(talk)

    def test_a_login_may_send_as_its_own_senders_alone(self) -> None:
        """And sends nothing for the network it happens to be in."""
        for host in (OUTSIDE, INSIDE):
            talk = self.gateway.connect(host)
            said = talk.say("EHLO x", plain(PASSWORD), "MAIL FROM:<me@example.com>")
            self.assertEqual(said[-1][:9], "553 5.7.1")
            self.assertEqual(talk.say("MAIL FROM:<erp@example.com>"), ["250 2.1.0 Ok"])

    def test_after_starttls_all_is_forgotten(self) -> None:
        """A login in the clear is none inside TLS (RFC 3207 4.2)."""
        talk = self.gateway.connect(OUTSIDE)
        said = talk.say("EHLO x", plain(PASSWORD), "MAIL FROM:<erp@example.com>")
        self.assertEqual(said[-1], "250 2.1.0 Ok")
        talk.say("RSET", "STARTTLS")
        talk.pump.handshakeCompleted()
        self.assert_closed(talk)

    def test_a_sender_is_asked_for_each_message(self) -> None:
        """One that was allowed says nothing of the next."""
        talk = self.gateway.connect(INSIDE)
        self.assert_open(talk)
        said = talk.say("MAIL FROM:<me@elsewhere.example>")
        self.assertEqual([line[:9] for line in said], ["553 5.7.1"])
