"""Private keys with their certificates, as an app signs in with: read from PEM or PFX.

One text may hold several pairs, the preferred one first, so that a new certificate can stand beside
the old one until Entra knows it. Microsoft takes RSA keys only.

Failures: `Unusable`, whose words say what is missing and hold nothing of a key.
"""

from __future__ import annotations

import re
from functools import lru_cache

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

SHORTEST_KEY = 2048  # bits
MOST_KEPT = 1024  # texts whose pairs are remembered

_KEY = re.compile(rb"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.+?-----END \1PRIVATE KEY-----", re.DOTALL)
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Unusable(ValueError):
    """A text or file from which no key with its certificate can be had."""


@frozen
class KeyPair:
    """A private key and the certificates that speak for it, its own first."""

    private_key: str = field(repr=False)  # PEM, PKCS 8, in clear
    chain: str  # PEM
    begins_at: float  # seconds since the epoch
    ends_at: float
    thumbprint: str  # SHA-1 in hexadecimal digits, as the Entra admin centre shows it

    def pem(self) -> bytes:
        """Key and certificates in one text. A secret."""
        return f"{self.private_key.strip()}\n{self.chain.strip()}\n".encode()


@lru_cache(maxsize=MOST_KEPT)
def read_pairs(octets: bytes, passphrase: str = "") -> tuple[KeyPair, ...]:
    """The pairs of a PEM text or of a PFX file; at least one. Raises `Unusable`.

    What was read is remembered: checking an RSA key takes 25 milliseconds of processor, in which no
    other thread runs, and with hundreds of mailboxes all are read again at each change.
    """
    secret = passphrase.encode() or None
    if b"-----BEGIN" not in octets:
        return (_from_pfx(octets, secret),)
    keys = [_key(match[0], secret) for match in _KEY.finditer(octets)]
    certificates = [_certificate(text) for text in _CERTIFICATE.findall(octets)]
    if not keys or not certificates:
        raise Unusable("It must hold a private key and its certificate, as PEM.")
    return tuple(_pair(key, keys, certificates) for key in keys)


def _from_pfx(octets: bytes, passphrase: bytes | None) -> KeyPair:
    try:
        bundle = load_pkcs12(octets, passphrase)
    except ValueError:  # also for a wrong passphrase; its text is of no use to people
        raise Unusable(
            "It is neither PEM nor a PFX that opens with certificate_passphrase."
        ) from None
    if bundle.cert is None or bundle.key is None:
        raise Unusable("The PFX must hold a private key and its certificate.")
    own = bundle.cert.certificate
    chain = [own, *(each.certificate for each in bundle.additional_certs)]
    return _made(_rsa(bundle.key), chain)


def _key(pem: bytes, passphrase: bytes | None) -> RSAPrivateKey:
    is_sealed = b"ENCRYPTED" in pem
    try:
        return _rsa(load_pem_private_key(pem, passphrase if is_sealed else None))
    except Unusable:
        raise
    except Exception:  # cryptography has many; none of their texts belongs into a log
        words = " with certificate_passphrase" if is_sealed else ""
        raise Unusable(f"The private key in it cannot be read{words}.") from None


def _rsa(key: object) -> RSAPrivateKey:
    if not isinstance(key, RSAPrivateKey) or key.key_size < SHORTEST_KEY:
        raise Unusable(f"Microsoft takes RSA keys of {SHORTEST_KEY} bits or more; it is none.")
    return key


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise Unusable("A certificate in it is damaged.") from None


def _pair(
    key: RSAPrivateKey, keys: list[RSAPrivateKey], certificates: list[x509.Certificate]
) -> KeyPair:
    """The key with its certificate, and those behind it up to the next one with a key."""
    owned = [each.public_key() for each in keys]
    chain: list[x509.Certificate] = []
    for certificate in certificates:
        if certificate.public_key() == key.public_key():
            chain = [certificate]
        elif chain and certificate.public_key() in owned:
            break
        elif chain:
            chain.append(certificate)
    if not chain:
        raise Unusable("No certificate in it belongs to the private key.")
    return _made(key, chain)


def _made(key: RSAPrivateKey, chain: list[x509.Certificate]) -> KeyPair:
    if chain[0].public_key() != key.public_key():
        raise Unusable("The certificate in it does not belong to the private key.")
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return KeyPair(
        private_key=private.decode(),
        chain="".join(each.public_bytes(Encoding.PEM).decode() for each in chain),
        begins_at=chain[0].not_valid_before_utc.timestamp(),
        ends_at=chain[0].not_valid_after_utc.timestamp(),
        # SHA-1 only names the certificate here; nothing is signed with it.
        thumbprint=chain[0].fingerprint(hashes.SHA1()).hex().upper(),
    )
