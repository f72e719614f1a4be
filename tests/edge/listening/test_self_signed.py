"""The certificate of the first start."""

from __future__ import annotations

import os
import stat
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.trial.unittest import SynchronousTestCase

from m365gw.directory.seal import Seal, SealError
from m365gw.edge.listening.certificates import ServerCertificate
from m365gw.edge.listening.self_signed import sealed_key, self_signed
from tests.edge.handshake import NOW, serial


class SelfSignedTests(SynchronousTestCase):
    """Made once, kept, and good for TLS."""

    def setUp(self) -> None:
        self.state_dir = self.mktemp()
        Seal(self.state_dir).make()
        self.pair = self_signed(self.state_dir, "gw.example.com", NOW)
        self.files = (self.pair.certificate, self.pair.key)

    def test_it_is_for_the_host_and_good_for_years(self) -> None:
        """The first start makes a P-256 certificate for the gateway's name."""
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
        self.assertEqual(again, self.pair)
        self.assertEqual([Path(name).read_bytes() for name in self.files], before)

    def test_start_that_was_cut_off_makes_a_new_pair(self) -> None:
        """A key without its certificate is not used with a later one."""
        Path(self.files[0]).unlink()
        self_signed(self.state_dir, "gw.example.com", NOW)
        self.assertTrue(serial(ServerCertificate([self.pair])))

    def test_long_hostname_is_no_obstacle(self) -> None:
        """A host name may be longer than a common name."""
        pair = self_signed(self.mktemp(), f"{'a' * 60}.{'b' * 60}.example.com", NOW)
        self.assertTrue(serial(ServerCertificate([pair])))


class SealedKeyTests(SynchronousTestCase):
    """The private key opens with the key of the gateway only."""

    def setUp(self) -> None:
        self.state_dir = self.mktemp()
        self.file = Path(self.state_dir, "tls/self-signed.key")

    def serial(self) -> int:
        """That of the certificate clients would see."""
        return serial(ServerCertificate([self_signed(self.state_dir, "gw.example.com", NOW)]))

    def test_it_is_sealed(self) -> None:
        """Nothing of it can be read in its folder."""
        Seal(self.state_dir).make()
        key = self_signed(self.state_dir, "gw.example.com", NOW).read().key
        self.assertTrue(key.startswith(b"-----BEGIN PRIVATE KEY"))
        octets = self.file.read_bytes()
        self.assertNotIn(b"PRIVATE", octets)
        self.assertNotIn(key.splitlines()[1], octets)

    def test_one_that_lies_in_clear_is_sealed(self) -> None:
        """By the first start with a key to seal by; clients see the same certificate."""
        before = self.serial()
        self.assertIn(b"PRIVATE", self.file.read_bytes())
        Seal(self.state_dir).make()
        self.assertEqual(self.serial(), before)
        self.assertNotIn(b"PRIVATE", self.file.read_bytes())
        self.assertEqual(self.serial(), before)

    def test_a_new_key(self) -> None:
        """A rotation seals it anew, and the old key opens it no more."""
        seal = Seal(self.state_dir)
        seal.make()
        before, old = self.serial(), seal.file.read_bytes()
        seal.begin_rotation()
        self.assertTrue(sealed_key(self.state_dir).seal_anew())
        seal.end_rotation()
        self.assertEqual(self.serial(), before)
        seal.file.write_bytes(old)
        self.assertRaises(SealError, sealed_key(self.state_dir).read)

    def test_a_key_that_is_lost(self) -> None:
        """Mail is taken with another certificate; the old one is back with the key."""
        seal = Seal(self.state_dir)
        seal.make()
        before, kept = self.serial(), self.file.read_bytes()
        lost = seal.file.read_bytes()
        seal.file.unlink()
        self.assertNotEqual(self.serial(), before)
        certificate = ServerCertificate([self_signed(self.state_dir, "gw.example.com", NOW)])
        (loaded,) = certificate.loaded
        self.assertIn("Restore it from a backup", loaded.instead)
        self.assertEqual(self.file.read_bytes(), kept)
        seal.file.write_bytes(lost)
        self.assertEqual(self.serial(), before)
