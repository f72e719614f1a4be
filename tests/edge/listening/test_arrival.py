"""Connections before their session: PROXY headers, and TLS that may come first."""

from __future__ import annotations

import ipaddress

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.limits import Limits
from m365gw.config.settings import Listener, Network
from m365gw.edge.listening.arrival import AwaitHeader, AwaitTls
from m365gw.smtp.proxy import Header
from m365gw.smtp.proxy_fields import BalancerTls, Fields
from tests.edge.conversation import HOST, MESSAGE, Conversation, Gateway
from tests.smtp.proxy_header import version_1, version_2

BALANCER = "10.0.0.5"
BEHIND = Listener(
    name="behind",
    endpoint="tcp:0",
    tls="none",
    auth="offer",
    proxy_from=("10.0.0.0/24",),
    networks=("192.0.2.0/24",),
)
DESTINATION = (ipaddress.ip_address("10.0.0.1"), 25)
CLIENT = Header(source=(ipaddress.ip_address(HOST), 4711), destination=DESTINATION)
HELLO = b"\x16\x03\x01\x02\x00"  # as a ClientHello begins
LIMITS = Limits(minimal_free_space=0)


def with_tls(version: str) -> Header:
    tls = BalancerTls(is_used=True, version=version, cipher="AES256-SHA", common_name="x")
    return evolve(CLIENT, fields=Fields(tls=tls, unique_id="0A01:1", authority="gw.example.com"))


class ProxyTests(SynchronousTestCase):
    """Who the client behind a load balancer is."""

    def connect(
        self, octets: bytes = b"", listener: Listener = BEHIND, host: str = BALANCER
    ) -> Conversation:
        self.gateway = Gateway(self, listener=listener, limits=LIMITS)
        client = self.gateway.connect(host)
        self.assertEqual(client.greeting, [])
        if octets:
            client.greeting = client.send(octets)
        return client

    def log(self) -> str:
        return self.gateway.output.getvalue()

    def test_client_of_the_header_decides(self) -> None:
        """Its network lets it relay, its address is logged and traced, the balancer's beside it."""
        for header in (version_1(CLIENT), version_2(CLIENT, checksum=True)):
            client = self.connect(header)
            self.assertEqual(client.greeting[0][:4], "220 ")
            self.assertEqual(client.message()[0][:3], "250")
            [(_, octets)] = self.gateway.messages()
            self.assertIn(f"([{HOST}])".encode(), octets)
            self.assertIn(f"client=unknown[{HOST}], via={BALANCER}, from=<me@", self.log())

    def test_nothing_is_said_before_the_header(self) -> None:
        """Octet by octet, and with the client's first command behind it."""
        client = self.connect()
        self.assertIsInstance(client.protocol, AwaitHeader)
        octets = version_2(CLIENT) + b"EHLO x\r\n"
        for at in range(len(version_2(CLIENT)) - 1):
            self.assertEqual(client.send(octets[at : at + 1]), [])
        replies = client.send(octets[len(version_2(CLIENT)) - 1 :])
        self.assertEqual([line[:3] for line in (replies[0], replies[-1])], ["220", "250"])

    def test_balancer_is_not_its_client(self) -> None:
        """A client the header does not name is in no network, not even in the balancer's."""
        listener = evolve(BEHIND, networks=("10.0.0.0/24",))
        trusted = Network(cidr="10.0.0.0/24", senders=("*",), mailbox="relay@example.com")
        for octets in (b"PROXY UNKNOWN\r\n", version_2(Header()), version_2(CLIENT)):
            self.gateway = Gateway(self, listener=listener, limits=LIMITS, networks=[trusted])
            client = self.gateway.connect(BALANCER)
            client.send(octets)
            self.assertEqual(client.say("EHLO x", "MAIL FROM:<a@example.com>")[-1][:3], "530")

    def test_client_of_a_unix_socket(self) -> None:
        """It is shown by its path."""
        client = self.connect(version_2(Header(unix_path="/run/app")))
        client.say("EHLO x", "MAIL FROM:<a@example.com>")
        self.assertIn(f"client=unknown[/run/app], via={BALANCER}", self.log())

    def test_limits_count_clients_not_the_balancer(self) -> None:
        """One client of a balancer over its limit leaves room for all others."""
        limits = evolve(LIMITS, client_connection_limit=1)
        self.gateway = Gateway(self, listener=BEHIND, limits=limits)
        other = evolve(CLIENT, source=(ipaddress.ip_address("192.0.2.8"), 1))
        replies = [
            self.gateway.connect(BALANCER).send(version_2(header))[0][:3]
            for header in (CLIENT, CLIENT, other)
        ]
        self.assertEqual(replies, ["220", "421", "220"])
        self.assertEqual(self.gateway.census.connections, 2)
        self.assertIn(f"client=unknown[{HOST}], via={BALANCER} (421 4.7.0", self.log())

    def test_mapped_addresses_are_those_they_are(self) -> None:
        """::ffff:192.0.2.7 is 192.0.2.7, and a balancer may come by IPv6 too."""
        mapped = ipaddress.ip_address(f"::ffff:{HOST}")
        header = Header(source=(mapped, 1), destination=(mapped, 2))
        client = self.connect(version_2(header), host=f"::ffff:{BALANCER}")
        self.assertEqual(client.message()[0][:3], "250")

    def test_stranger_on_such_a_listener_is_an_ordinary_client(self) -> None:
        """It is greeted at once, and a header of its own is none."""
        self.gateway = Gateway(self, listener=BEHIND, limits=LIMITS)
        for header in (version_1(CLIENT), version_2(CLIENT)):
            client = self.gateway.connect("203.0.113.9")
            self.assertEqual(client.greeting[0][:3], "220")
            self.assertEqual(client.send(header)[0][:3], "421")
            self.assertIn(
                "sent a PROXY header, which this listener does not take from it", self.log()
            )
            self.assertEqual(self.gateway.messages(), [])

    def test_balancer_by_a_unix_socket(self) -> None:
        """Who may open the socket is trusted, where proxy_from says so."""
        for place, expected in (("unix", 0), ("10.0.0.0/24", 1)):
            listener = evolve(BEHIND, proxy_from=(place,))
            client = Gateway(self, listener=listener, limits=LIMITS).connect("")
            self.assertEqual(len(client.greeting), expected)

    def test_no_header_in_time_is_told_and_closed(self) -> None:
        """Once a minute for each balancer; not a word to it, nothing left behind."""
        client = self.connect()
        client.send(version_2(CLIENT)[:20])
        self.gateway.clock.advance(5)
        self.assertTrue(client.wire.disconnected)
        self.assertEqual(client.heard(), [])
        words = "no PROXY header came within 5 s. The listener has proxy_from"
        self.assertIn(f"client=unknown[{BALANCER}] ({words}", self.log())
        for _ in range(3):
            self.gateway.connect(BALANCER)
            self.gateway.clock.advance(5)
        self.assertEqual(self.log().count("no PROXY header"), 1)
        self.gateway.clock.advance(60)
        self.gateway.connect(BALANCER)
        self.gateway.clock.advance(5)
        self.assertEqual(self.log().count("no PROXY header"), 2)

    def test_a_header_that_is_none_is_told_and_closed(self) -> None:
        """What came with it is not read as commands."""
        client = self.connect(b"EHLO x\r\nMAIL FROM:<a@example.com>\r\n")
        self.assertTrue(client.wire.disconnected)
        self.assertIn("cannot be read: the connection does not begin with one", self.log())
        self.assertEqual(client.send(version_2(CLIENT)), [])

    def test_health_checks_leave_no_line_in_the_log(self) -> None:
        """Connect and close, LOCAL, and `option smtpchk`, from balancers and strangers."""
        self.gateway = Gateway(self, listener=BEHIND, limits=LIMITS)
        for host in (BALANCER, "203.0.113.9"):
            self.gateway.connect(host).drop()
        for header in (version_2(Header(is_local=True)), b"PROXY UNKNOWN\r\n"):
            client = self.gateway.connect(BALANCER)
            self.assertEqual(client.send(header)[0][:3], "220")
            client.drop()
            client = self.gateway.connect(BALANCER)
            client.send(header)
            self.assertEqual(client.say("EHLO check")[0][:3], "250")
            self.assertEqual(client.say("QUIT")[0][:3], "221")
            client.drop()
        self.gateway.clock.advance(600)
        self.assertEqual(self.log(), "")
        self.assertEqual(self.gateway.census.connections, 0)

    def test_health_checks_are_never_too_many(self) -> None:
        """A balancer that comes for itself is no stranger."""
        limits = Limits(client_connection_rate_limit=2, minimal_free_space=0)
        self.gateway = Gateway(self, listener=BEHIND, limits=limits)
        for _ in range(5):
            client = self.gateway.connect(BALANCER)
            self.assertEqual(client.send(version_2(Header(is_local=True)))[0][:3], "220")
            client.drop()

    def test_local_is_the_balancer_itself(self) -> None:
        """Its own address is the client's then."""
        client = self.connect(version_2(Header(is_local=True)))
        client.say("EHLO x", "MAIL FROM:<a@example.com>")
        self.assertIn(f"client=unknown[{BALANCER}], via={BALANCER}", self.log())

    def test_stop_closes_who_has_not_introduced_anybody(self) -> None:
        """A balancer that says nothing does not hold up the stop."""
        client = self.connect()
        done = self.gateway.factory.drain()
        self.assertTrue(client.wire.disconnected)
        client.drop()
        self.successResultOf(done)


class AutoTests(SynchronousTestCase):
    """TLS or SMTP on one port."""

    def setUp(self) -> None:
        listener = evolve(BEHIND, tls="auto", proxy_from=())
        self.gateway = Gateway(self, listener=listener, limits=LIMITS)
        self.client = self.gateway.connect()

    def test_quiet_client_is_greeted(self) -> None:
        """SMTP clients wait for the greeting; STARTTLS is theirs to use."""
        self.assertIsInstance(self.client.protocol, AwaitTls)
        self.gateway.clock.advance(1.9)
        self.assertEqual(self.client.heard(), [])
        self.gateway.clock.advance(0.1)
        self.assertEqual(self.client.codes(), ["220"])
        self.assertIn("250-STARTTLS", self.client.say("EHLO x"))
        self.assertEqual(self.client.message(MESSAGE)[0][:3], "250")

    def test_client_that_begins_tls_gets_it_at_once(self) -> None:
        """The handshake begins with what was seen, and the greeting comes inside."""
        self.client.wire.take_tls()
        self.assertEqual(self.client.send(HELLO), [])
        self.assertEqual(self.client.wire.tls_input, HELLO)
        self.assertIs(self.client.wire.tls_with, self.gateway.certificate)
        self.client.pump.handshakeCompleted()
        self.assertEqual(self.client.codes(), ["220"])
        self.assertNotIn("250-STARTTLS", self.client.say("EHLO x"))

    def test_client_that_speaks_first_is_heard(self) -> None:
        """It is no TLS, so nothing is waited for."""
        heard = self.client.send(b"EHLO x\r\n")
        self.assertEqual((heard[0][:3], heard[-1][:3]), ("220", "250"))

    def test_foreign_bytes_are_recognised(self) -> None:
        """A browser on the port gets the same farewell as elsewhere."""
        self.client.send(b"GET / HTTP/1.1\r\n\r\n")
        self.assertIn("HTTP request", self.gateway.output.getvalue())

    def test_waiting_client_is_counted_and_let_go(self) -> None:
        """It counts from the first moment, and a stop does not wait for it."""
        self.assertEqual(self.gateway.census.connections, 1)
        self.gateway.factory.drain()
        self.assertTrue(self.client.wire.disconnected)
        self.client.drop()
        self.assertEqual(self.gateway.census.connections, 0)
        self.assertEqual(self.gateway.clock.getDelayedCalls(), [])

    def test_header_comes_before_the_first_octet_of_tls(self) -> None:
        """Behind a balancer that passes TLS on; where it ended TLS, nothing is waited for."""
        listener = evolve(BEHIND, tls="auto")
        gateway = Gateway(self, listener=listener, limits=LIMITS)
        client = gateway.connect(BALANCER)
        client.wire.take_tls()
        self.assertEqual(client.send(version_2(CLIENT) + HELLO), [])
        self.assertEqual(client.wire.tls_input, HELLO)
        client = gateway.connect(BALANCER)
        self.assertEqual(client.send(version_2(with_tls("TLSv1.2")))[0][:3], "220")


class TermsTests(SynchronousTestCase):
    """Which terms of TLS a client gets."""

    def test_legacy_terms_are_for_named_networks(self) -> None:
        """With STARTTLS and with TLS at once, by the address of the client."""
        for tls in ("starttls", "implicit"):
            listener = Listener(
                name="t",
                endpoint="tcp:0",
                tls=tls,
                quirks=("legacy-tls",),
                quirk_networks=("192.0.2.0/24",),
            )
            gateway = Gateway(self, listener=listener, limits=LIMITS)
            for host, expected in (
                (HOST, gateway.certificate.legacy),
                ("203.0.113.9", gateway.certificate),
            ):
                client = gateway.connect(host)
                if tls == "starttls":
                    client.say("STARTTLS")
                self.assertIs(client.wire.tls_with, expected)

    def test_quirks_of_logins_are_for_named_networks(self) -> None:
        """What one old device needs is not offered to everybody."""
        listener = Listener(
            name="t",
            endpoint="tcp:0",
            tls="none",
            quirks=("plaintext-auth", "auth-equals"),
            quirk_networks=("192.0.2.0/24",),
        )
        gateway = Gateway(self, listener=listener, limits=LIMITS)
        for host, expected in ((HOST, True), ("203.0.113.9", False)):
            offers = gateway.connect(host).say("EHLO x")
            self.assertEqual("250-AUTH PLAIN LOGIN" in offers, expected)
            self.assertEqual("250-AUTH=PLAIN LOGIN" in offers, expected)
