"""The certificates clients see, from one set of files to the next."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from m365gw.edge.listening.certificates import ServerCertificate
from m365gw.edge.listening.tls_terms import CertificateUnusable
from tests.edge.handshake import serial, serial_in, write_pair


class CertificateTests(SynchronousTestCase):
    """Taken whole, or not at all."""

    def setUp(self) -> None:
        self.pair = write_pair(self.mktemp(), "gw.example.com")
        self.certificate = ServerCertificate([self.pair])
        self.first = serial_in(self.pair)

    def test_it_is_what_twisted_asks_for(self) -> None:
        """On both terms."""
        for terms in (self.certificate, self.certificate.legacy):
            self.assertTrue(verifyObject(IOpenSSLServerConnectionCreator, terms))
            self.assertEqual(serial(terms), self.first)

    def test_renewed_files_are_seen_and_taken(self) -> None:
        """Old and modern terms get the new certificate together."""
        self.assertFalse(self.certificate.has_changed)
        new = write_pair(self.mktemp(), "gw.example.com")
        os.replace(new.certificate, self.pair.certificate)
        os.replace(new.key, self.pair.key)
        self.assertTrue(self.certificate.has_changed)
        self.assertEqual(serial(self.certificate), self.first)
        self.certificate.take()
        self.assertFalse(self.certificate.has_changed)
        for terms in (self.certificate, self.certificate.legacy):
            self.assertEqual(serial(terms), serial_in(self.pair))

    def test_unusable_files_leave_everything_as_it_was(self) -> None:
        """What was tried in vain is tried again when it has changed, not before."""
        Path(self.pair.certificate).write_text("garbage")
        self.assertRaises(CertificateUnusable, self.certificate.take)
        self.assertEqual(serial(self.certificate), self.first)
        self.assertFalse(self.certificate.has_changed)
        Path(self.pair.key).unlink()
        self.assertTrue(self.certificate.has_changed)

    def test_other_files_are_taken_together_or_not_at_all(self) -> None:
        """One bad pair of several keeps the good ones out too."""
        good, bad = (write_pair(self.mktemp(), "new.example.com") for _ in range(2))
        Path(bad.key).write_text("garbage")
        self.assertRaises(CertificateUnusable, self.certificate.take, [good, bad])
        self.assertEqual(serial(self.certificate), self.first)
        self.assertFalse(self.certificate.has_changed)
        self.certificate.take([good])
        self.assertEqual(serial(self.certificate), serial_in(good))
