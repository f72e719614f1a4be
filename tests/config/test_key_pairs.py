"""Tests for `m365gw.config.key_pairs`."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.key_pairs import ENTRA, TLS, Unusable, kinds_for, read_pairs
from m365gw.directory.certificates import new_certificate
from m365gw.rehearsal.certificates import inspected_pem

PEM = new_certificate("one", 10)
OTHER = new_certificate("two", 20)
PAIR, SECOND = read_pairs(PEM)[0], read_pairs(OTHER)[0]
KEY = load_pem_private_key(PAIR.private_key.encode(), None)
LEAF = x509.load_pem_x509_certificate(PAIR.chain.encode())


def pfx(passphrase: bytes = b"") -> bytes:
    sealed = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return serialize_key_and_certificates(b"m365gw", KEY, LEAF, None, sealed)  # type: ignore[arg-type]  # RSA


class ReadingTests(SynchronousTestCase):
    """What is taken."""

    def test_pem_in_any_order(self) -> None:
        """Key first or certificate first."""
        turned = f"{PAIR.chain}\nsome words\n{PAIR.private_key}".encode()
        self.assertEqual(read_pairs(turned), (PAIR,))

    def test_two_pairs_keep_their_order(self) -> None:
        """The first key is the preferred one, wherever its certificate stands."""
        mixed = (SECOND.private_key + PAIR.private_key + PAIR.chain + SECOND.chain).encode()
        self.assertEqual(read_pairs(mixed), (SECOND, PAIR))

    def test_chain_follows_its_leaf(self) -> None:
        """Certificates of authorities go with the leaf they stand behind."""
        authority = read_pairs(new_certificate("authority"))[0].chain
        pairs = read_pairs(PAIR.pem() + authority.encode() + SECOND.pem())
        self.assertEqual(pairs[0].chain, PAIR.chain + authority)
        self.assertEqual(pairs[1], SECOND)

    def test_sealed_pem(self) -> None:
        """A key under a passphrase is opened, and only with it."""
        sealed = KEY.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open")
        )
        self.assertEqual(read_pairs(sealed + PAIR.chain.encode(), "open"), (PAIR,))
        for wrong in ("", "shut"):
            problem = self.assertRaises(Unusable, read_pairs, sealed + PAIR.chain.encode(), wrong)
            self.assertIn("certificate_passphrase", str(problem))

    def test_pfx(self) -> None:
        """A PFX is the same pair, with a passphrase or without."""
        self.assertEqual(read_pairs(pfx()), (PAIR,))
        self.assertEqual(read_pairs(pfx(b"open"), "open"), (PAIR,))
        self.assertIn(
            "certificate_passphrase",
            str(self.assertRaises(Unusable, read_pairs, pfx(b"open"), "x")),
        )

    def test_what_it_reads_it_writes(self) -> None:
        """A pair as PEM is the same pair again."""
        self.assertEqual(read_pairs(PAIR.pem()), (PAIR,))

    def test_what_was_read_is_remembered(self) -> None:
        """Checking a key takes long, and hundreds of mailboxes are read at each change."""
        self.assertIs(read_pairs(PAIR.pem()), read_pairs(PAIR.pem()))

    def test_keys_are_not_shown(self) -> None:
        """Neither repr nor words hold a key."""
        self.assertNotIn("PRIVATE", repr(PAIR))


class RefusingTests(SynchronousTestCase):
    """What is not."""

    def test_unusable_texts(self) -> None:
        """Without key, without certificate, damaged, of another key: said, and no key shown."""
        for octets in (
            b"",
            PAIR.private_key.encode(),
            PAIR.chain.encode(),
            PEM[:200] + PAIR.chain.encode(),
            PAIR.private_key.encode() + SECOND.chain.encode(),
            PAIR.private_key.encode() + PAIR.chain.replace("A", "B").encode(),
        ):
            problem = self.assertRaises(Unusable, read_pairs, octets)
            self.assertNotIn("BEGIN", str(problem))

    def test_only_rsa(self) -> None:
        """Entra takes no elliptic curves: said here, not by a refusal there."""
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        problem = self.assertRaises(Unusable, read_pairs, private + PAIR.chain.encode())
        self.assertIn("RSA", str(problem))

    def test_elliptic_keys_are_for_connectors(self) -> None:
        """A certificate shown in a handshake may have one, as public authorities give them."""
        self.assertEqual((kinds_for("smtp"), kinds_for("connector")), (ENTRA, TLS))
        [pair] = read_pairs(inspected_pem(), kinds=TLS)
        self.assertEqual(read_pairs(pair.pem(), kinds=TLS), (pair,))

    @settings(max_examples=60, deadline=None)
    @given(st.binary(max_size=400), st.integers(0, len(PEM)))
    def test_anything_else_is_unusable(self, noise: bytes, place: int) -> None:
        """Whatever stands in a file, the only failure is `Unusable`."""
        for octets in (noise, PEM[:place] + noise, b"-----BEGIN" + noise):
            try:
                read_pairs(octets, "x")
            except Unusable as problem:
                self.assertTrue(str(problem))
