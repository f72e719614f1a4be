"""The files that settings name are looked at before the service starts."""

from __future__ import annotations

import os
from pathlib import Path

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
        """Key and certificate in one file are what flow "certificate" needs."""
        self.write("app.pem", self.pair)
        self.load(CERTIFICATE)

    def test_certificate_alone(self) -> None:
        """Without the key nobody can sign in; so it is told now."""
        self.write("app.pem", self.certificate)
        said = self.problems(CERTIFICATE)
        self.assertIn("app.pem holds no certificate with its key", said)
        self.assertIn("one private key without a passphrase", said)

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
