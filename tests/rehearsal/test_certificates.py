"""Tests of the rehearsal's own certificates."""

from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from m365gw.rehearsal.certificates import write_certificates


class CertificateTests(SynchronousTestCase):
    """What is written, and what it says."""

    def test_subjects_say_that_this_is_a_rehearsal(self) -> None:
        """Authority and server both."""
        files = write_certificates(Path(self.mktemp()))
        for file in (files.authority, files.server):
            certificate = x509.load_pem_x509_certificate(file.read_bytes())
            self.assertIn("rehearsal (not Microsoft)", certificate.subject.rfc4514_string())

    def test_key_is_readable_by_the_owner_only(self) -> None:
        """Mode 0600, and the key of the authority is not kept at all."""
        folder = Path(self.mktemp())
        files = write_certificates(folder)
        self.assertEqual(stat.S_IMODE(os.stat(files.server).st_mode), 0o600)
        self.assertNotIn(b"PRIVATE KEY", files.authority.read_bytes())
        self.assertEqual(len(list(folder.iterdir())), 4)

    def test_second_start_uses_them_again(self) -> None:
        """Who was told to trust them goes on trusting."""
        folder = Path(self.mktemp())
        before = write_certificates(folder).server.read_bytes()
        self.assertEqual(write_certificates(folder).server.read_bytes(), before)

    def test_openssl_takes_them(self) -> None:
        """They load as a trust anchor, strictly read, and as a server's chain."""
        files = write_certificates(Path(self.mktemp()))
        context = ssl.create_default_context(cafile=str(files.authority))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        self.assertEqual(len(context.get_ca_certs()), 1)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(str(files.server))
