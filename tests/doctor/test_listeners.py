"""D16 against listeners on real sockets: ours as they should be, and broken ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from twisted.internet import protocol, reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from m365gw.config.settings import Listener, Settings, Tls
from m365gw.doctor.case import Gateway
from m365gw.doctor.checks import listeners
from m365gw.doctor.finding import Seen
from m365gw.doctor.tools import Facts
from m365gw.edge.listening.certificates import ServerCertificate
from m365gw.edge.listening.self_signed import SELF_SIGNED_DAYS, self_signed
from tests.doctor.test_doctor import asynchronous, key_of_seen
from tests.edge.listening.test_listeners import Service


class Saying(protocol.Protocol):
    """A server that says one thing, and hangs up when it is answered."""

    transport: Any
    words = b""

    def connectionMade(self) -> None:
        self.transport.write(self.words)
        if not self.words:
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        self.transport.loseConnection()


class Tools:
    """What D16 uses: the time, and what the service knows."""

    def __init__(self, *places: dict[str, str]) -> None:
        self.reactor = reactor
        self._facts = Facts(True, places)

    def facts(self) -> Facts:
        return self._facts


class ListenerCase(TestCase):
    hostname = "localhost"
    tls = Tls()

    def service(self, **settings: Any) -> Service:
        """One of our listeners, listening."""
        service = Service(self, **settings)
        service.privilegedStartService()
        service.startService()
        self.addCleanup(service.stopService)
        return service

    def saying(self, words: bytes) -> int:
        """The port of a server that is none of ours."""
        factory = protocol.Factory.forProtocol(type("Said", (Saying,), {"words": words}))
        factory.noisy = False
        port: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    async def look(self, listener: Listener, address: str) -> Seen:
        """What D16 says of one listener."""
        settings = Settings(hostname=self.hostname, listener=(listener,), tls=self.tls)
        tools: Any = Tools({"listener": listener.name, "address": address})
        return await listeners.look(Gateway(settings, tools))

    def look_at(self, service: Service) -> Deferred[Seen]:
        """The same for one of ours."""
        listener = service.gateway.doorway.listener
        address = f"127.0.0.1:{service.number}"
        return Deferred.fromCoroutine(self.look(listener, address))


class ServedTests(ListenerCase):
    """Each kind of listener, as its clients come."""

    @asynchronous
    async def test_every_way_of_tls(self) -> None:
        """A greeting, TLS where there is one, and the certificate."""
        for tls, secured in (
            ("starttls", 1),
            ("require", 1),
            ("implicit", 1),
            ("auto", 2),
        ):
            seen = await self.look_at(self.service(tls=tls))
            with self.subTest(tls=tls):
                self.assertEqual(seen.result, "ok", seen)
                self.assertEqual(seen.came_back.count("TLSv1.3"), secured)
                self.assertEqual(seen.came_back.count(f"{SELF_SIGNED_DAYS - 1} days left"), 1)
        plain = await self.look_at(self.service(tls="none", auth="off"))
        self.assertEqual((plain.result, "TLS" in plain.came_back), ("ok", False))

    @asynchronous
    async def test_as_the_balancer_it_trusts(self) -> None:
        """Where our own address must send a PROXY header, we send that of a health check."""
        for tls in ("starttls", "implicit"):
            seen = await self.look_at(self.service(tls=tls, proxy_from=("127.0.0.0/8",)))
            self.assertEqual(seen.result, "ok", seen)
            self.assertIn("PROXY LOCAL", seen.came_back)
            self.assertIn("127.0.0.1 is in proxy_from", seen.came_back)

    @asynchronous
    async def test_not_the_balancer_it_trusts(self) -> None:
        """From any other address it is tried as a client, and what that leaves open is said."""
        seen = await self.look_at(self.service(proxy_from=("192.0.2.9/32",)))
        self.assertEqual(seen.result, "ok", seen)
        self.assertNotIn("PROXY LOCAL", seen.came_back)
        words = "127.0.0.1 is not in proxy_from (192.0.2.9/32), so this came as a client without a"
        self.assertIn(words, seen.came_back)

    @asynchronous
    async def test_by_a_unix_socket(self) -> None:
        """It is met there, as the balancer that comes by it."""
        endpoint = f"unix:{self.mktemp()}"
        service = self.service(endpoint=endpoint, proxy_from=("unix",))
        seen = await self.look(service.gateway.doorway.listener, endpoint)
        self.assertEqual(seen.result, "ok", seen)
        self.assertIn("a UNIX socket is in proxy_from", seen.came_back)


class BrokenTests(ListenerCase):
    """Who listens there is none of ours, or does not do what it should."""

    async def silent(self, listener: Listener, words: bytes) -> str:
        """Why it is found silent."""
        seen = await self.look(listener, f"127.0.0.1:{self.saying(words)}")
        self.assertEqual((seen.result, key_of_seen(seen)), ("fail", "listener-silent"))
        return seen.came_back

    @asynchronous
    async def test_it_hangs_up(self) -> None:
        """As when all of its connections are used."""
        came_back = await self.silent(Listener(name="in", endpoint="tcp:0"), b"")
        self.assertIn("closed the connection", came_back)

    @asynchronous
    async def test_it_greets_with_a_refusal(self) -> None:
        """The words are shown."""
        full = b"421 4.7.0 Too many connections\r\n"
        came_back = await self.silent(Listener(name="in", endpoint="tcp:0"), full)
        self.assertIn("421 4.7.0 Too many connections, that is no greeting", came_back)

    @asynchronous
    async def test_it_speaks_in_clear_where_tls_should_be(self) -> None:
        """A handshake that fails is no certificate."""
        listener = Listener(name="in", endpoint="tcp:0", tls="implicit")
        self.assertIn("TLS: ", await self.silent(listener, b"220 mail\r\n"))

    @asynchronous
    async def test_it_offers_no_starttls(self) -> None:
        """Something stands between that takes the offer away, or it is another server."""
        service = self.service(tls="none", auth="off")
        listener = Listener(name="in", endpoint="tcp:0", tls="require")
        seen = await self.look(listener, f"127.0.0.1:{service.number}")
        self.assertEqual(key_of_seen(seen), "listener-silent")
        self.assertIn("STARTTLS is not offered", seen.came_back)


class CertificateTests(ListenerCase):
    """What its clients see of the certificate."""

    async def key(self, name: str, age: int) -> tuple[str, str]:
        """Result and key with a certificate for a name that was made so many days ago."""
        made = datetime.now(UTC) - timedelta(days=age)
        service = self.service(tls="implicit")
        pair = self_signed(self.mktemp(), name, made)
        factory: Any = service._factory
        factory.certificate = ServerCertificate([pair])
        seen = await self.look_at(service)
        return seen.result, key_of_seen(seen) if seen.diagnosis else ""

    @asynchronous
    async def test_its_end(self) -> None:
        """A warning 30 days before, a failure after."""
        for left, said in (
            (31, ("ok", "")),
            (29, ("warn", "listener-certificate-ends")),
            (-2, ("fail", "listener-certificate-ended")),
        ):
            with self.subTest(left=left):
                age = SELF_SIGNED_DAYS - left - 1
                self.assertEqual(await self.key("localhost", age), said)

    @asynchronous
    async def test_another_name(self) -> None:
        """Who is told our hostname and verifies it will refuse."""
        said = await self.key("elsewhere.example", 0)
        self.assertEqual(said, ("warn", "listener-certificate-name"))

    @asynchronous
    async def test_a_chain_nobody_trusts(self) -> None:
        """It is said of one the operator has given, and not of the one made here."""
        self.assertEqual(await self.key("localhost", 0), ("ok", ""))
        self.tls = Tls(certificate="/etc/m365gw/tls.crt", key="/etc/m365gw/tls.key")
        said = await self.key("localhost", 0)
        self.assertEqual(said, ("warn", "listener-certificate-untrusted"))
