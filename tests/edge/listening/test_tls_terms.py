"""The terms of TLS: who gets which version, cipher and certificate."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtensionOID
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from m365gw.edge.listening.certificates import ServerCertificate
from m365gw.edge.listening.tls_terms import CertificateUnusable, Pair, load
from tests.edge.handshake import client, met, serial, serial_in, write_pair


class TermsTests(SynchronousTestCase):
    """Modern terms for everybody, legacy ones for who is named."""

    def setUp(self) -> None:
        self.pair = write_pair(self.mktemp(), "gw.example.com")
        self.certificate = ServerCertificate([self.pair])

    def test_modern_terms(self) -> None:
        """TLS 1.2 and 1.3 with a fresh key each time; nothing older."""
        for version in (SSL.TLS1_VERSION, SSL.TLS1_1_VERSION):
            self.assertRaises(SSL.Error, met, self.certificate, client(version))
        end = met(self.certificate, client(SSL.TLS1_2_VERSION))
        self.assertTrue(end.get_cipher_name().startswith("ECDHE-"), end.get_cipher_name())
        self.assertEqual(met(self.certificate).get_protocol_version_name(), "TLSv1.3")

    def test_cipher_that_can_be_read_along_later_is_for_old_devices(self) -> None:
        """With a key exchange by the certificate's own key, whoever gets that reads everything."""
        pair = write_pair(self.mktemp(), "gw.example.com", is_rsa=True)
        certificate = ServerCertificate([pair])
        old = client(SSL.TLS1_2_VERSION, ciphers="AES128-SHA")
        self.assertRaises(SSL.Error, met, certificate, old)
        old = client(SSL.TLS1_2_VERSION, ciphers="AES128-SHA")
        self.assertEqual(met(certificate.legacy, old).get_cipher_name(), "AES128-SHA")

    def test_legacy_terms(self) -> None:
        """Old devices get what they can; new ones still the best there is."""
        for version, name in (
            (SSL.TLS1_VERSION, "TLSv1"),
            (SSL.TLS1_1_VERSION, "TLSv1.1"),
            (SSL.TLS1_3_VERSION, "TLSv1.3"),
        ):
            end = met(self.certificate.legacy, client(version))
            self.assertEqual(end.get_protocol_version_name(), name)

    def test_nothing_to_resume(self) -> None:
        """No ticket and no session of one connection opens another."""
        end = met(self.certificate, client(SSL.TLS1_2_VERSION))
        again = SSL.Connection(end.get_context(), None)
        again.set_session(end.get_session())
        met(self.certificate, again)
        self.assertNotEqual(end.master_key(), again.master_key())

    def test_who_offers_protocols_gets_tls_without_one(self) -> None:
        """There is none for SMTP, and an offer (ALPN) is no reason to end the handshake."""
        for terms in (self.certificate, self.certificate.legacy):
            end = client()
            end.set_alpn_protos([b"h2", b"http/1.1"])
            self.assertEqual(met(terms, end).get_alpn_proto_negotiated(), b"")

    def test_name_chooses_the_certificate(self) -> None:
        """Exact names come before wildcards, letter case counts for nothing."""
        other = write_pair(self.mktemp(), "gw.example.net", "*.example.com")
        third = write_pair(self.mktemp(), "x.example.com")
        certificate = ServerCertificate([self.pair, other, third])
        for name, pair in (
            ("", self.pair),
            ("unknown.example.org", self.pair),
            ("GW.example.com", self.pair),
            ("gw.example.net", other),
            ("y.example.com", other),
            ("x.example.com", third),
            ("a.b.example.com", self.pair),
        ):
            for terms in (certificate, certificate.legacy):
                with self.subTest(name=name):
                    self.assertEqual(serial(terms, name), serial_in(pair))

    def test_unusable_files_are_named(self) -> None:
        """At start the operator is told which file is wrong and how."""
        certificate, key = self.pair.certificate, self.pair.key
        other = write_pair(self.mktemp(), "other.example.com")
        garbage = self.mktemp()
        Path(garbage).write_text("garbage")
        unread = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"garbage")
        nameless = write_pair(self.mktemp(), "gw.example.com", alternatives=unread)
        for pair, words in (
            (nameless, f"{nameless.certificate} holds no certificate"),
            (Pair("/nowhere.crt", key), "/nowhere.crt cannot be read: No such file"),
            (Pair(garbage, key), f"{garbage} holds no certificate"),
            (Pair(certificate, garbage), f"{garbage} holds no private key"),
            (Pair(certificate, other.key), f"{other.key} is not the key of {certificate}"),
        ):
            error = self.assertRaises(CertificateUnusable, ServerCertificate, [pair])
            self.assertIn(words, str(error))

    def test_certificate_knows_its_names_and_its_end(self) -> None:
        """What a log line tells of it."""
        loaded = load(write_pair(self.mktemp(), "A.example.com", "b.example.com", days=10))
        self.assertEqual(loaded.names, ["a.example.com", "b.example.com"])
        self.assertEqual(f"{loaded.ends_at:%Y-%m-%d}", "2026-12-01")
