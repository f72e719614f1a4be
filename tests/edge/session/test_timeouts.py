"""Slow clients: whatever they drip, in whatever phase, their time ends."""

from __future__ import annotations

import base64

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.limits import Limits
from m365gw.config.settings import Client, Listener
from m365gw.directory import passwords
from m365gw.edge.session.timeouts import FAREWELL_SECONDS, NEWCOMER_COMMANDS
from tests.edge.conversation import TRUSTED, Conversation, Gateway

LIMITS = Limits(
    command_timeout=300,
    data_timeout=180,
    tls_timeout=30,
    stress_timeout=10,
    minimal_data_rate=500,
    minimal_free_space=0,
)
PASSWORD, HASH = passwords.generate()
FAX = Client(login="fax", password_hash=HASH, senders=("*@example.com",), mailbox="r@example.com")
ANY = Listener(
    name="test",
    endpoint="tcp:0",
    tls="starttls",
    auth="offer",
    networks=(TRUSTED.cidr,),
    quirks=("plaintext-auth",),
)
STRANGER = "203.0.113.5"


class DripTests(SynchronousTestCase):
    """One octet a second, in each phase of a session."""

    def setUp(self) -> None:
        self.gateway = Gateway(self, listener=ANY, limits=LIMITS, clients=[FAX])

    def assert_ends(self, client: Conversation, after: float, octet: bytes = b"A") -> None:
        """The drip ends `after` so many seconds, give or take one, and not before."""
        for _ in range(int(after) - 1):
            self.gateway.clock.advance(1)
            self.assertEqual(client.send(octet), [])
        self.gateway.clock.advance(2)
        self.assertEqual(client.codes(), ["421"])
        self.assertTrue(client.wire.is_closing)
        self.assertIn("421 4.4.2 Timeout", self.gateway.output.getvalue())

    def test_first_command(self) -> None:
        """Behind the greeting."""
        self.assert_ends(self.gateway.connect(), 300)

    def test_later_command(self) -> None:
        """Within a transaction."""
        client = self.gateway.connect()
        client.envelope()
        self.assert_ends(client, 300)

    def test_over_long_line(self) -> None:
        """A line that was refused already and is only read over."""
        client = self.gateway.connect()
        client.envelope()
        client.send(b"x" * 20_000)
        self.assert_ends(client, 300)

    def test_login(self) -> None:
        """Within the exchange of AUTH."""
        client = self.gateway.connect()
        client.say("EHLO x", "AUTH LOGIN")
        self.assert_ends(client, 300)

    def test_data(self) -> None:
        """Within the content, of which 180 octets are no piece worth the name."""
        client = self.gateway.connect()
        client.envelope()
        client.say("DATA")
        self.assert_ends(client, 180)

    def test_chunk(self) -> None:
        """Within a chunk of BDAT, taken or only read over."""
        for lines in (["RCPT TO:<a@example.net>", "BDAT 100000"], ["BDAT 100000"]):
            client = self.gateway.connect()
            client.say("EHLO x", "MAIL FROM:<me@example.com>", *lines)
            self.assert_ends(client, 180)

    def test_handshake(self) -> None:
        """The reactor feeds the octets of a handshake to TLS, and they move no deadline."""
        client = self.gateway.connect()
        client.say("STARTTLS")
        self.gateway.clock.advance(29)
        self.assertFalse(client.wire.disconnected)
        self.gateway.clock.advance(1)
        self.assertTrue(client.wire.disconnected)

    def test_behind_the_last_reply(self) -> None:
        """What comes after QUIT holds nothing open."""
        client = self.gateway.connect()
        client.say("QUIT")
        for _ in range(int(FAREWELL_SECONDS)):
            client.send(b"A")
            self.gateway.clock.advance(1)
        self.assertTrue(client.wire.disconnected)


class RateTests(SynchronousTestCase):
    """Content has to come at a least rate on the average."""

    def setUp(self) -> None:
        self.gateway = Gateway(self, listener=ANY, limits=LIMITS, clients=[FAX])
        self.client = self.gateway.connect()
        self.client.envelope()
        self.client.say("DATA")

    def seconds_with(self, octets: int) -> int:
        """How long the client lasts with so many octets every ten seconds."""
        for seconds in range(0, 3600, 10):
            self.client.send(b"x" * octets)
            self.gateway.clock.advance(10)
            if self.client.codes() == ["421"]:
                return seconds + 10
        return 3600

    def test_at_the_rate_it_may_go_on(self) -> None:
        """An hour, and longer."""
        self.assertEqual(self.seconds_with(5000), 3600)

    def test_at_half_the_rate_it_lasts_twice_the_timeout(self) -> None:
        """A client that sends a good piece now and then holds no connection for days."""
        self.assertEqual(self.seconds_with(2500), 350)

    def test_what_was_sent_fast_earns_no_more_than_the_timeout(self) -> None:
        """A stall behind ten fast mebioctets is a stall."""
        self.client.send(b"x" * 10 * 1024 * 1024)
        self.gateway.clock.advance(179)
        self.assertEqual(self.client.codes(), [])
        self.gateway.clock.advance(1)
        self.assertEqual(self.client.codes(), ["421"])


class StressTests(SynchronousTestCase):
    """When places are scarce strangers have less time, from that moment on."""

    def setUp(self) -> None:
        limits = evolve(LIMITS, connection_limit=7, connection_reserve=2)
        self.gateway = Gateway(self, listener=ANY, limits=limits, clients=[FAX])

    def crowd(self, others: int = 4) -> None:
        """So many others come, three of four from outside."""
        self.others = [self.gateway.connect(f"198.51.100.{each}") for each in range(others)]

    def test_who_waits_already_is_let_go(self) -> None:
        """A silent client that could have waited five minutes; not before others are many."""
        client = self.gateway.connect(STRANGER)
        self.gateway.clock.advance(100)
        self.assertEqual(client.codes(), [])
        self.crowd()
        self.gateway.clock.advance(10)
        self.assertEqual(client.heard(), ["421 4.4.2 Timeout: no command came in time"])

    def test_newcomer_has_ten_seconds(self) -> None:
        """For each command; and forty for all until it has logged in."""
        self.crowd(3)
        client = self.gateway.connect(STRANGER)
        for _ in range(4):
            self.gateway.clock.advance(9)
            self.assertEqual(client.say("NOOP"), ["250 2.0.0 Ok"])
            self.others = [self.gateway.connect(f"198.51.100.{each}") for each in range(3)]
        self.gateway.clock.advance(4)
        self.assertEqual(
            client.heard(), ["421 4.4.2 Timeout: no login and no message came in time"]
        )

    def test_handshake(self) -> None:
        """It has ten seconds too, and no words."""
        client = self.gateway.connect(STRANGER)
        client.say("STARTTLS")
        self.crowd()
        self.gateway.clock.advance(10)
        self.assertTrue(client.wire.disconnected)
        self.assertEqual(client.codes(), [])

    def test_who_is_known_has_its_time(self) -> None:
        """The printers of a trusted network, and who has logged in."""
        printer, fax = self.gateway.connect(), self.gateway.connect(STRANGER)
        initial = base64.b64encode(f"\0fax\0{PASSWORD}".encode()).decode()
        fax.say("EHLO x", f"AUTH PLAIN {initial}")
        self.crowd()
        self.gateway.clock.advance(299)
        self.assertEqual((printer.codes(), fax.codes()), ([], []))
        self.gateway.clock.advance(1)
        self.assertEqual((printer.codes(), fax.codes()), (["421"], ["421"]))


class NewcomerTests(SynchronousTestCase):
    """Who neither logs in nor begins a message may not stay."""

    def setUp(self) -> None:
        self.gateway = Gateway(self, listener=ANY, limits=LIMITS, clients=[FAX])
        self.stay = NEWCOMER_COMMANDS * LIMITS.command_timeout

    def test_busy_newcomer_is_sent_away(self) -> None:
        """NOOP after NOOP does not make up for a login."""
        client = self.gateway.connect()
        for _ in range(int(self.stay / 10) - 1):
            self.gateway.clock.advance(10)
            self.assertEqual(client.say("NOOP"), ["250 2.0.0 Ok"])
        self.gateway.clock.advance(10)
        self.assertEqual(
            client.heard(), ["421 4.4.2 Timeout: no login and no message came in time"]
        )

    def test_unwanted_content_does_not_lengthen_it(self) -> None:
        """A chunk that is only read over is no message, however fast it comes."""
        client = self.gateway.connect(STRANGER)
        client.say("EHLO x", "BDAT 30000000")
        for _ in range(int(self.stay / 10) - 1):
            self.gateway.clock.advance(10)
            self.assertEqual(client.send(b"x" * 5000), [])
        self.gateway.clock.advance(10)
        self.assertEqual(client.codes(), ["421"])

    def test_refused_sender_is_a_newcomer_still(self) -> None:
        """MAIL that no rule lets through proves nothing."""
        client = self.gateway.connect(STRANGER)
        for _ in range(int(self.stay / 200)):
            client.say("EHLO x", "MAIL FROM:<me@example.com>")
            self.gateway.clock.advance(200)
        self.assertEqual(client.codes(), ["421"])

    def test_who_logged_in_may_stay(self) -> None:
        """Programs keep their connections open."""
        client = self.gateway.connect(STRANGER)
        initial = base64.b64encode(f"\0fax\0{PASSWORD}".encode()).decode()
        self.assertEqual(client.say("EHLO x", f"AUTH PLAIN {initial}")[-1][:3], "235")
        for _ in range(10):
            self.gateway.clock.advance(200)
            self.assertEqual(client.say("NOOP"), ["250 2.0.0 Ok"])

    def test_who_sends_may_stay(self) -> None:
        """A large message over a slow line, and other messages behind it."""
        client = self.gateway.connect()
        client.envelope()
        client.say("DATA", "")
        for _ in range(10):
            self.gateway.clock.advance(170)
            self.assertEqual(client.send(b"x" * 500 * 170), [])
        self.assertEqual(client.send(b"\r\n.\r\n")[0][:3], "250")
        self.gateway.clock.advance(299)
        self.assertEqual(client.say("NOOP"), ["250 2.0.0 Ok"])
