"""The certificate of the first start."""

from __future__ import annotations

import os
import stat
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.trial.unittest import SynchronousTestCase

from m365gw.edge.listening.certificates import ServerCertificate
from m365gw.edge.listening.self_signed import self_signed
from m365gw.edge.listening.tls_terms import Pair
from tests.edge.handshake import NOW, serial


class SelfSignedTests(SynchronousTestCase):
    """Made once, kept, and good for TLS."""

    def setUp(self) -> None:
        self.state_dir = self.mktemp()
        self.files = self_signed(self.state_dir, "gw.example.com", NOW)

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
        self.assertEqual([Path(name).read_bytes() for name in again], before)

    def test_start_that_was_cut_off_makes_a_new_pair(self) -> None:
        """A key without its certificate is not used with a later one."""
        Path(self.files[0]).unlink()
        self_signed(self.state_dir, "gw.example.com", NOW)
        self.assertTrue(serial(ServerCertificate([Pair(*self.files)])))

    def test_long_hostname_is_no_obstacle(self) -> None:
        """A host name may be longer than a common name."""
        files = self_signed(self.mktemp(), f"{'a' * 60}.{'b' * 60}.example.com", NOW)
        self.assertTrue(serial(ServerCertificate([Pair(*files)])))
