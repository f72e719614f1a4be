"""Listeners on real sockets, with a real client."""

from __future__ import annotations

import os
import shutil
import smtplib
import socket
import ssl
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import Protocol
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from m365gw.config.limits import Limits
from m365gw.config.settings import Client, Listener, Network
from m365gw.directory import passwords
from m365gw.edge.listening.certificates import ServerCertificate
from m365gw.edge.listening.entrance import SessionFactory
from m365gw.edge.listening.listeners import ListenerService, ListenFailed
from m365gw.edge.listening.self_signed import self_signed
from tests.edge.conversation import Gateway

PASSWORD, HASH = passwords.generate()
FAX = Client(login="fax", password_hash=HASH, senders=("*@example.com",), mailbox="r@example.com")
LOCAL = Network(cidr="127.0.0.1", senders=("*@example.com",), mailbox="r@example.com")
MESSAGE = "Subject: test\r\n\r\n.leading dot\r\nHello.\r\n"


class Service(ListenerService):
    """A listener on a free port of the loopback interface."""

    def __init__(self, case: SynchronousTestCase, **settings: object) -> None:
        place = str(settings.pop("endpoint", "tcp:0:interface=127.0.0.1"))
        listener = Listener(name="test", endpoint=place, **settings)
        limits = Limits(minimal_free_space=0, shutdown_timeout=0.2)
        self.gateway = Gateway(
            case, listener=listener, limits=limits, clients=[FAX], networks=[LOCAL]
        )
        self.pair = self_signed(case.mktemp(), "localhost", datetime.now(UTC))
        certificate = ServerCertificate([self.pair])
        factory = SessionFactory(
            self.gateway.doorway,
            self.gateway.census,
            reactor,
            certificate,
        )
        super().__init__(reactor, self.gateway.doorway, factory)

    @property
    def number(self) -> int:
        assert self.port is not None
        return int(self.port.getHost().port)

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.pair.certificate)


class Listening(Protocol):
    """A client that keeps what it hears."""

    transport: ITransport

    def __init__(self) -> None:
        self.heard = b""
        self._wanted = b""
        self._found: Deferred[None] = Deferred()

    def say(self, octets: bytes) -> None:
        self.transport.write(octets)

    def until(self, words: bytes) -> Deferred[None]:
        """Fires when these words were heard."""
        self._wanted, self._found = words, Deferred()
        self.dataReceived(b"")
        return self._found

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        if self._wanted and self._wanted in self.heard:
            self._wanted = b""
            self._found.callback(None)


class DialogueTests(TestCase):
    """A message through a socket, with and without TLS."""

    async def send(self, service: Service, connect: Callable[[], smtplib.SMTP]) -> bytes:
        service.privilegedStartService()
        service.startService()
        self.addCleanup(service.stopService)

        def talk() -> None:
            with connect() as client:
                client.sendmail("me@example.com", "you@example.net", MESSAGE)

        await deferToThread(talk)
        [(_, octets)] = service.gateway.messages()
        self.assertTrue(octets.endswith(MESSAGE.encode()))
        return octets

    async def test_plain(self) -> None:
        """A trusted network needs neither TLS nor login."""
        service = Service(self, tls="none", auth="off", networks=("127.0.0.1",))
        octets = await self.send(service, lambda: smtplib.SMTP("127.0.0.1", service.number))
        self.assertIn(b" with ESMTP id ", octets)

    async def test_starttls_and_auth(self) -> None:
        """The certificate is that of the files, and the trace tells of TLS and login."""
        service = Service(self, tls="require", auth="require")

        def connect() -> smtplib.SMTP:
            client = smtplib.SMTP("localhost", service.number)
            client.starttls(context=service.context())
            client.login("fax", PASSWORD)
            return client

        octets = await self.send(service, connect)
        self.assertIn(b" with ESMTPSA id ", octets)
        self.assertIn(b"(using TLSv1.3 TLS_AES_", octets)

    async def test_implicit_tls(self) -> None:
        """TLS from the first octet."""
        service = Service(self, tls="implicit", auth="require")

        def connect() -> smtplib.SMTP:
            client = smtplib.SMTP_SSL("localhost", service.number, context=service.context())
            client.login("fax", PASSWORD)
            return client

        self.assertIn(b" with ESMTPSA id ", await self.send(service, connect))


class PlaceTests(TestCase):
    """IPv6 and UNIX sockets."""

    async def hear(self, service: Service, family: int, place: object) -> bytes:
        """The greeting of a listener at this place."""
        service.startService()
        self.addCleanup(service.stopService)

        def listen() -> bytes:
            with socket.socket(family) as client:
                client.connect(place)
                return client.recv(4) + client.send(b"QUIT\r\n") * b""

        return await deferToThread(listen)

    async def test_ipv6(self) -> None:
        """With the colons of the address escaped, as in the sample."""
        service = Service(self, tls="none", endpoint=r"tcp6:0:interface=\:\:1")
        service.startService()
        self.assertEqual(
            await self.hear(service, socket.AF_INET6, ("::1", service.number)), b"220 "
        )

    async def test_unix_socket(self) -> None:
        """A name that a crash left behind is no obstacle."""
        folder = tempfile.mkdtemp()  # a name short enough for a socket
        self.addCleanup(shutil.rmtree, folder)
        place = f"{folder}/smtp"
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(place)
        os.symlink("4194305", f"{place}.lock")  # to the process that made it, which is no more
        service = Service(self, tls="none", endpoint=f"unix:{place}")
        self.assertEqual(await self.hear(service, socket.AF_UNIX, place), b"220 ")


class FarewellTests(TestCase):
    """Clients that still send when they are told to leave."""

    async def flood(self, octets: int) -> bytes:
        """What a client hears that sends so much rubbish before it reads anything."""
        service = Service(self, tls="none", auth="off", networks=("127.0.0.1",))
        service.privilegedStartService()
        service.startService()
        self.addCleanup(service.stopService)
        heard = b""

        def talk() -> None:
            nonlocal heard
            with socket.create_connection(("127.0.0.1", service.number), timeout=120) as client:
                client.sendall(b"rubbish\r\n" * (octets // 9))
                client.shutdown(socket.SHUT_WR)
                while said := client.recv(65536):
                    heard += said

        try:
            await deferToThread(talk)
        except OSError as error:
            return heard + repr(error).encode()
        return heard

    async def test_the_last_reply_can_be_read(self) -> None:
        """What has not been read yet does not reset the connection."""
        heard = await self.flood(500_000)
        self.assertTrue(heard.endswith(b"\r\n421 4.7.0 Too many errors\r\n"), heard[-100:])

    async def test_patience_ends(self) -> None:
        """Who sends without end is broken off."""
        heard = await self.flood(50_000_000)
        self.assertRegex(heard[-100:], rb"ConnectionResetError|BrokenPipeError")


class StartStopTests(TestCase):
    """Binding and letting go."""

    def test_port_in_use_stops_the_start(self) -> None:
        """A service without its port does not start, and says which listener it is."""
        first = Service(self, tls="none")
        first.privilegedStartService()
        self.addCleanup(first.stopService)
        place = f"tcp:{first.number}:interface=127.0.0.1"
        second = Service(self, tls="none", endpoint=place)
        error = self.assertRaises(ListenFailed, second.privilegedStartService)
        self.assertIn(f'Listener "test" cannot listen on {place}', str(error))

    def test_socket_that_systemd_did_not_hand_over_stops_the_start(self) -> None:
        """Started by hand instead of by its socket unit, the service says so."""
        for place in ("systemd:domain=INET:index=7", "systemd:domain=INET:name=smtp"):
            service = Service(self, tls="none", endpoint=place)
            error = self.assertRaises(ListenFailed, service.startService)
            self.assertIn("systemd handed over no such socket", str(error))

    def test_start_without_privileged_start_binds_too(self) -> None:
        """A service that is started late, or on its own, listens all the same."""
        service = Service(self, tls="none")
        service.startService()
        self.addCleanup(service.stopService)
        self.assertTrue(service.number)

    async def test_stop_tells_the_idle_and_cuts_off_the_stuck(self) -> None:
        """A client in the middle of a message has until the timeout, and no longer."""
        service = Service(self, tls="none", auth="off", networks=("127.0.0.1",))
        service.startService()
        endpoint = HostnameEndpoint(reactor, "127.0.0.1", service.number)
        idle = await connectProtocol(endpoint, Listening())
        busy = await connectProtocol(endpoint, Listening())
        await idle.until(b"220 ")
        busy.say(b"EHLO x\r\nMAIL FROM:<me@example.com>\r\n")
        await busy.until(b"250 2.1.0")
        await service.stopService()
        self.assertIn(b"421 4.3.2", idle.heard)
        self.assertNotIn(b"421 4.3.2", busy.heard)
        self.assertEqual(service.gateway.census.connections, 0)
        self.assertIsNone(service.port)
