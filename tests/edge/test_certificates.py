"""The certificate clients see."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from m365gw.edge.certificates import (
    LOOK_SECONDS,
    CertificateUnusable,
    ServerCertificate,
    self_signed,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def handshake(server: SSL.Connection, client: SSL.Connection) -> None:
    """Carry octets between two ends in memory until both have finished."""
    client.set_connect_state()
    server.set_accept_state()
    is_done = [False, False]
    for _ in range(10):
        for index, (end, other) in enumerate(((client, server), (server, client))):
            try:
                end.do_handshake()
                is_done[index] = True
            except SSL.WantReadError:
                pass
            try:
                other.bio_write(end.bio_read(65536))
            except SSL.WantReadError:
                continue
        if all(is_done):
            return
    raise AssertionError("The handshake did not come to an end")


class CertificateTests(SynchronousTestCase):
    """Made, loaded, reloaded."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.state_dir = self.mktemp()
        self.files = self_signed(self.state_dir, "gw.example.com", NOW)

    def seen(self, certificate: ServerCertificate, method: int = SSL.TLS_METHOD) -> Any:
        """The client side of a handshake with the server, once it is done."""
        client = SSL.Connection(SSL.Context(method), None)
        handshake(certificate.serverConnectionForTLS(cast(Any, None)), client)
        return client

    def serial(self, certificate: ServerCertificate) -> int:
        return int(self.seen(certificate).get_peer_certificate().get_serial_number())

    def test_self_signed_is_for_the_host_and_for_servers(self) -> None:
        """The first start makes a P-256 certificate for the gateway's name, good for years."""
        certificate = x509.load_pem_x509_certificate(Path(self.files[0]).read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(names.get_values_for_type(x509.DNSName), ["gw.example.com"])
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        self.assertEqual(key.curve.name, "secp256r1")
        self.assertLess(certificate.not_valid_before_utc, NOW)
        self.assertGreater(certificate.not_valid_after_utc, NOW + timedelta(days=3600))

    def test_files_are_private(self) -> None:
        """Nobody but the service reads the key."""
        for name in self.files:
            self.assertEqual(stat.S_IMODE(os.stat(name).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(Path(self.state_dir, "tls")).st_mode), 0o700)

    def test_second_start_keeps_the_first_certificate(self) -> None:
        """Clients that pinned it go on working after a restart."""
        before = [Path(name).read_bytes() for name in self.files]
        again = self_signed(self.state_dir, "gw.example.com", NOW)
        self.assertEqual([Path(name).read_bytes() for name in again], before)

    def test_start_that_was_cut_off_makes_a_new_pair(self) -> None:
        """A key without its certificate is not used with a later one."""
        Path(self.files[0]).unlink()
        self_signed(self.state_dir, "gw.example.com", NOW)
        self.assertTrue(self.serial(ServerCertificate(*self.files, self.clock)))

    def test_long_hostname_is_no_obstacle(self) -> None:
        """A host name may be longer than a common name."""
        files = self_signed(self.mktemp(), f"{'a' * 60}.{'b' * 60}.example.com", NOW)
        self.assertTrue(self.serial(ServerCertificate(*files, self.clock)))

    def test_serves_modern_tls_only(self) -> None:
        """A client that can do TLS 1.1 at most gets no connection."""
        certificate = ServerCertificate(*self.files, self.clock)
        self.assertTrue(verifyObject(IOpenSSLServerConnectionCreator, certificate))
        self.assertEqual(self.seen(certificate).get_protocol_version_name(), "TLSv1.3")
        old = SSL.Context(SSL.TLS_METHOD)
        old.set_max_proto_version(SSL.TLS1_1_VERSION)
        old.set_cipher_list(b"ALL:@SECLEVEL=0")
        client = SSL.Connection(old, None)
        server = certificate.serverConnectionForTLS(cast(Any, None))
        self.assertRaises(SSL.Error, handshake, server, client)

    def test_renewed_files_are_taken_within_a_minute(self) -> None:
        """A renewed certificate needs no restart."""
        certificate = ServerCertificate(*self.files, self.clock)
        first = self.serial(certificate)
        for name, new in zip(self.files, self_signed(self.mktemp(), "gw", NOW), strict=True):
            os.replace(new, name)
        self.assertEqual(self.serial(certificate), first)
        self.clock.advance(LOOK_SECONDS)
        self.assertNotEqual(self.serial(certificate), first)

    def test_unusable_new_files_leave_the_old_certificate(self) -> None:
        """A renewal that went wrong is logged, and TLS goes on as before."""
        certificate = ServerCertificate(*self.files, self.clock)
        first = self.serial(certificate)
        Path(self.files[0]).write_text("garbage")
        certificate.reload_if_changed()
        self.assertEqual(self.serial(certificate), first)
        Path(self.files[1]).unlink()
        certificate.reload_if_changed()
        self.assertEqual(self.serial(certificate), first)

    def test_unusable_files_are_named(self) -> None:
        """At start the operator is told which file is wrong and how."""
        certificate, key = self.files
        other = self_signed(self.mktemp(), "gw", NOW)
        garbage = self.mktemp()
        Path(garbage).write_text("garbage")
        for pair, words in (
            (("/nowhere.crt", key), "/nowhere.crt cannot be read: No such file"),
            ((garbage, key), f"{garbage} holds no certificate"),
            ((certificate, garbage), f"{garbage} holds no private key"),
            ((certificate, other[1]), f"{other[1]} is not the key of {certificate}"),
        ):
            error = self.assertRaises(CertificateUnusable, ServerCertificate, *pair, self.clock)
            self.assertIn(words, str(error))
