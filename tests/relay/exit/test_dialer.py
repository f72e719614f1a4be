"""Tests for `m365gw.relay.exit.dialer`: real TLS, on loopback."""

from __future__ import annotations

import datetime
import io
import ipaddress
from pathlib import Path
from typing import Any

from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet import endpoints, reactor, ssl
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver
from twisted.trial.unittest import TestCase

from m365gw.config.key_pairs import TLS, read_pairs
from m365gw.config.settings import Governor as Limits
from m365gw.directory.certificates import new_certificate
from m365gw.events import EventLog
from m365gw.microsoft.clouds import PRESETS, Cloud
from m365gw.microsoft.replies import Phase
from m365gw.relay.exit.connection import AttemptFailed
from m365gw.relay.exit.dialer import Dialer, tls_options
from m365gw.relay.exit.proof import Bearer, Proof, Shown
from m365gw.tracing import Wish

TOKEN = "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA"


def certificate(*names: x509.GeneralName) -> bytes:
    """Key and self-signed certificate for these names, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + made.public_bytes(serialization.Encoding.PEM)


class Submission(LineReceiver):
    """A server that speaks just enough SMTP to be signed in to."""

    options: Any

    def connectionMade(self) -> None:
        self.sendLine(b"220 ready")

    def lineReceived(self, line: bytes) -> None:
        verb = line.split()[0].upper()
        if verb == b"EHLO":
            self.sendLine(b"250-host\r\n250-STARTTLS\r\n250 AUTH XOAUTH2")
        elif verb == b"STARTTLS":
            self.sendLine(b"220 go")
            self.transport.startTLS(self.options)  # type: ignore[union-attr]  # a TCP transport
        elif verb == b"AUTH":
            self.sendLine(b"334 ")
        elif verb == b"QUIT":
            self.sendLine(b"221 bye")
            self.transport.loseConnection()  # type: ignore[union-attr]  # it is connected
        else:
            self.sendLine(b"235 ok")


class DialerTests(TestCase):
    """Opening sessions."""

    async def cloud(self, pem: bytes, options: Any = None) -> Cloud:
        """A cloud whose host is a server on this machine with this certificate."""
        pair = ssl.PrivateCertificate.loadPEM(pem)
        factory = Factory.forProtocol(Submission)
        factory.noisy = False
        Submission.options = options or pair.options()
        port = await endpoints.TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        self.addCleanup(port.stopListening)
        authority = self.file(pair.dumpPEM())
        return evolve(
            PRESETS["worldwide"],
            smtp_host="127.0.0.1",
            smtp_port=port.getHost().port,
            ca_file=authority,
        )

    def file(self, octets: bytes) -> str:
        """A new file with these octets."""
        name = self.mktemp()
        Path(name).write_bytes(octets)
        return name

    async def open(self, cloud: Cloud, level: str = "info", proof: Proof | None = None) -> Any:
        self.stream = io.StringIO()
        log = EventLog(self.stream, hostname="relay", level=level)
        self.watch = log.tracing.watch(Wish(mailbox="relay@contoso.com"), 60)
        dialer = Dialer(reactor, "relay.contoso.com", Limits(), log)
        return await dialer.open(cloud, proof or Bearer("relay@contoso.com", TOKEN))

    async def failure(self, cloud: Cloud) -> AttemptFailed:
        with self.assertRaises(AttemptFailed) as caught:
            await self.open(cloud)
        problem: AttemptFailed = caught.exception
        return problem

    async def test_session_and_trace(self) -> None:
        """A whole session over TLS; its trace shows the dialogue and not the token."""
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        cloud = await self.cloud(certificate(address))
        connection = await self.open(cloud, level="debug")
        self.assertEqual(connection.relay, f"127.0.0.1[127.0.0.1]:{cloud.smtp_port}")
        await connection.quit()
        trace = self.stream.getvalue()
        self.assertIn("C: EHLO relay.contoso.com", trace)
        self.assertIn("C: [XOAUTH2 response]", trace)
        self.assertNotIn(TOKEN[:16], trace)
        self.assertNotIn("dXNlcj1", trace)

    async def test_whoever_watches_sees_the_dialogue_and_not_the_token(self) -> None:
        """The same at every level of the log, with the mailbox it is for."""
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        cloud = await self.cloud(certificate(address))
        connection = await self.open(cloud)
        await connection.quit()
        lines = self.watch.since(0, self.watch.asked_at)
        said = "\n".join(f"{line.speaker}: {line.text}" for line in lines)
        for words in ("C: EHLO relay.contoso.com", "C: [XOAUTH2 response]", "S: 235", "C: QUIT"):
            self.assertIn(words, said)
        self.assertEqual({line.spoken.way for line in lines}, {"out"})
        for secret in (TOKEN[:16], "dXNlcj1"):
            self.assertNotIn(secret, said)

    async def test_certificate_of_ours(self) -> None:
        """Who asks for a certificate gets ours with all of its chain; then there is no AUTH."""
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        pem, seen = certificate(address), []
        options = ssl.PrivateCertificate.loadPEM(pem).options()

        def look(peer: SSL.Connection, shown: Any, error: int, depth: int, is_fine: int) -> bool:
            seen.append((depth, shown.get_subject().CN))
            return True

        options.getContext().set_verify(SSL.VERIFY_PEER, look)
        cloud = await self.cloud(pem, options)
        own, authority = new_certificate("relay.contoso.com"), new_certificate("An authority")
        [pair] = read_pairs(own + read_pairs(authority)[0].chain.encode(), kinds=TLS)
        box = "relay@contoso.com"
        connection = await self.open(cloud, "debug", Shown(box, pair))
        await connection.quit()
        self.assertIn((0, "relay.contoso.com"), seen)
        self.assertNotIn("C: AUTH", self.stream.getvalue())
        self.assertNotIn("PRIVATE", self.stream.getvalue())

    async def test_certificate_for_another_host(self) -> None:
        """A certificate that does not name the host of the cloud ends the session before AUTH."""
        cloud = await self.cloud(certificate(x509.DNSName("smtp.office365.com")))
        problem = await self.failure(cloud)
        self.assertIs(problem.phase, Phase.TLS)
        self.assertIn("certificate", problem.reply.text)

    async def test_certificate_of_another_authority(self) -> None:
        """A certificate that the cloud's authority did not sign is not believed."""
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        cloud = await self.cloud(certificate(address))
        for ca_file in (self.file(certificate(address)), ""):
            problem = await self.failure(evolve(cloud, ca_file=ca_file))
            self.assertIs(problem.phase, Phase.TLS)
            self.assertIn("certificate", problem.reply.text)

    async def test_old_tls_is_refused(self) -> None:
        """A server that knows nothing newer than TLS 1.1 gets no token."""
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        pem = certificate(address)
        options = ssl.PrivateCertificate.loadPEM(pem).options()
        context = options.getContext()
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        context.set_min_proto_version(SSL.TLS1_VERSION)
        context.set_max_proto_version(SSL.TLS1_1_VERSION)
        problem = await self.failure(await self.cloud(pem, options))
        self.assertIs(problem.phase, Phase.TLS)

    async def test_nobody_listens(self) -> None:
        """A refused connection is trouble with connecting, in words."""
        port = await endpoints.TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(
            Factory.forProtocol(Submission)
        )
        number = port.getHost().port
        await port.stopListening()
        problem = await self.failure(
            evolve(PRESETS["worldwide"], smtp_host="127.0.0.1", smtp_port=number)
        )
        self.assertEqual((problem.phase, problem.reply.code), (Phase.CONNECT, 0))
        self.assertIn("refused", problem.reply.text)

    async def test_cancelled(self) -> None:
        """Who no longer wants a connection gets no failure: nothing is said of the host."""
        opening = Deferred.fromCoroutine(
            self.open(await self.cloud(certificate(x509.DNSName("localhost"))))
        )
        opening.cancel()
        with self.assertRaises(CancelledError):
            await opening

    async def test_unreadable_authority(self) -> None:
        """A ca_file that is missing or no PEM fails before anything is connected."""
        damaged = self.file(b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
        for ca_file in (self.mktemp(), damaged):
            problem = await self.failure(evolve(PRESETS["worldwide"], ca_file=ca_file))
            self.assertIs(problem.phase, Phase.TLS)
            self.assertIn("authorities cannot be read", problem.reply.text)

    def test_authority_file_without_certificates(self) -> None:
        """An empty ca_file does not mean that the system's authorities are trusted."""
        self.assertRaises(ValueError, tls_options, "localhost", self.file(b""))
