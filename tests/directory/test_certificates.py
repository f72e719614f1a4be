"""Tests for `m365gw.directory.certificates`."""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.key_pairs import read_pairs
from m365gw.directory.certificates import new_certificate, renewed

ADDRESS = "relay@contoso.com"


class CertificateTests(SynchronousTestCase):
    def test_new_certificate(self) -> None:
        """It is good from now for as many days as were asked for, whatever its name."""
        for name in ("relay", "x" * 200, "büro"):
            pair = read_pairs(new_certificate(name, 30))[0]
            self.assertTrue(29.9 < (pair.ends_at - time.time()) / 86400 < 30)

    def test_renewed_beside_the_old_one(self) -> None:
        """The new certificate stands first, and the old one is still there."""
        text, first = renewed("", ADDRESS)
        self.assertEqual(read_pairs(text.encode()), (first,))
        text, second = renewed(text, ADDRESS)
        self.assertEqual(read_pairs(text.encode()), (second, first))
