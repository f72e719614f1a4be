"""The files that settings name are looked at before the service starts."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509 import load_pem_x509_certificate

from m365gw.directory.certificates import new_certificate
from m365gw.rehearsal.certificates import write_certificates
from tests.config.test_load import GOOD, LoadingTestCase

CERTIFICATE = GOOD.replace('"device"', '"certificate"\ncertificate_file = "app.pem"')
TLS = GOOD + '[tls]\ncertificate = "server.crt"\nkey = "server.key"\n'


class FileTests(LoadingTestCase):
    def setUp(self) -> None:
        super().setUp()
        made = self.folder / "made"
        write_certificates(made)
        self.pair = (made / "rehearsal-server.pem").read_text()
        cut = self.pair.index("-----BEGIN CERTIFICATE")
        self.key, self.certificate = self.pair[:cut], self.pair[cut:]

    def write(self, name: str, text: str, mode: int = 0o600) -> Path:
        path = self.folder / name
        path.write_text(text)
        os.chmod(path, mode)
        return path

    def test_certificate_with_its_key(self) -> None:
        """Key and certificate in one file are what flow "certificate" needs: RSA, as PEM or PFX."""
        pem = new_certificate("m365gw")
        self.write("app.pem", pem.decode())
        self.load(CERTIFICATE)
        key = load_pem_private_key(pem, None)
        own = load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERT") :])
        sealed = BestAvailableEncryption(b"open sesame")
        pfx = serialize_key_and_certificates(None, key, own, None, sealed)  # type: ignore[arg-type]  # RSA
        (self.folder / "app.pem").write_bytes(pfx)
        self.assertIn("certificate_passphrase", self.problems(CERTIFICATE))
        self.write("passphrase", "open sesame\n")
        given = CERTIFICATE.replace(
            "certificate_file", 'certificate_passphrase_file = "passphrase"\ncertificate_file'
        )
        settings = self.load(given).settings
        self.assertNotIn("sesame", repr(settings))

    def test_elliptic_curves(self) -> None:
        """Entra takes RSA keys only; said here, not by a refusal there."""
        self.write("app.pem", self.pair)
        self.assertIn("RSA", self.problems(CERTIFICATE))

    def test_certificate_alone(self) -> None:
        """Without the key nobody can sign in; so it is told now."""
        self.write("app.pem", self.certificate)
        said = self.problems(CERTIFICATE)
        self.assertIn("app.pem holds no certificate with its key", said)
        self.assertIn("a private key and its certificate", said)

    def test_private_key_everybody_can_read(self) -> None:
        """A private key is a secret as much as a client secret is."""
        self.write("app.pem", self.pair, 0o644)
        self.assertIn("chmod o-rwx", self.problems(CERTIFICATE))

    def test_missing(self) -> None:
        """A file that is not there is one fault, with its name."""
        said = self.problems(CERTIFICATE)
        self.assertIn("app.pem: No such file or directory", said)
        self.assertIn("1 error;", said)

    def test_tls_pair(self) -> None:
        """The server's certificate and its key belong together."""
        self.write("server.crt", self.certificate)
        self.write("server.key", self.key)
        self.load(TLS)
        self.write("server.key", "not a key")
        self.assertIn("server.key is not the key of ", self.problems(TLS))

    def test_half_a_pair(self) -> None:
        """One without the other is a mistake."""
        self.write("server.crt", self.certificate)
        said = self.problems(TLS.replace('key = "server.key"\n', ""))
        self.assertIn("certificate and key belong together", said)
