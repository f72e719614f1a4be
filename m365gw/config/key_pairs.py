"""Private keys with their certificates, as one signs in with: read from PEM or PFX.

One text may hold several pairs, the preferred one first, so that a new certificate can stand beside
the old one until Entra knows it. Entra takes RSA keys only; a certificate shown in a TLS handshake
may have an elliptic one.

Failures: `Unusable`, whose words say what is missing and hold nothing of a key.
"""

from __future__ import annotations

import re
from functools import lru_cache

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

SHORTEST_KEY = 2048  # bits of an RSA key
MOST_KEPT = 1024  # texts whose pairs are remembered

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey
ENTRA = (RSAPrivateKey,)  # kinds of keys an app may sign with
TLS = (RSAPrivateKey, EllipticCurvePrivateKey)  # and those of a TLS handshake
Kinds = tuple[type[PrivateKey], ...]

_KEY = re.compile(rb"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.+?-----END \1PRIVATE KEY-----", re.DOTALL)
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Unusable(ValueError):
    """A text or file from which no key with its certificate can be had."""


@frozen
class KeyPair:
    """A private key and the certificates that speak for it, its own first."""

    private_key: str = field(repr=False)  # PEM, PKCS 8, in clear
    chain: str  # PEM
    ends_at: float
    thumbprint: str  # SHA-1 in hexadecimal digits, as the Entra admin centre shows it

    def pem(self) -> bytes:
        """Key and certificates in one text. A secret."""
        return f"{self.private_key.strip()}\n{self.chain.strip()}\n".encode()


def kinds_for(exit: str) -> Kinds:
    """The kinds of keys mail may leave with by this exit."""
    return TLS if exit == "connector" else ENTRA


@lru_cache(maxsize=MOST_KEPT)
def read_pairs(octets: bytes, passphrase: str = "", kinds: Kinds = ENTRA) -> tuple[KeyPair, ...]:
    """The pairs of a PEM text or of a PFX file; at least one. Raises `Unusable`.

    What was read is remembered: checking an RSA key takes 25 milliseconds of processor, in which no
    other thread runs, and with hundreds of mailboxes all are read again at each change.
    """
    secret = passphrase.encode() or None
    if b"-----BEGIN" not in octets:
        return (_from_pfx(octets, secret, kinds),)
    keys = [_key(match[0], secret, kinds) for match in _KEY.finditer(octets)]
    certificates = [_certificate(text) for text in _CERTIFICATE.findall(octets)]
    if not keys or not certificates:
        raise Unusable("It must hold a private key and its certificate, as PEM.")
    return tuple(_pair(key, keys, certificates) for key in keys)


def _from_pfx(octets: bytes, passphrase: bytes | None, kinds: Kinds) -> KeyPair:
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
    return _made(_fit(bundle.key, kinds), chain)


def _key(pem: bytes, passphrase: bytes | None, kinds: Kinds) -> PrivateKey:
    is_sealed = b"ENCRYPTED" in pem
    try:
        return _fit(load_pem_private_key(pem, passphrase if is_sealed else None), kinds)
    except Unusable:
        raise
    except Exception:  # cryptography has many; none of their texts belongs into a log
        words = " with certificate_passphrase" if is_sealed else ""
        raise Unusable(f"The private key in it cannot be read{words}.") from None


def _fit(key: object, kinds: Kinds) -> PrivateKey:
    if isinstance(key, kinds) and not (
        isinstance(key, RSAPrivateKey) and key.key_size < SHORTEST_KEY
    ):
        return key
    others = "" if kinds == ENTRA else ", or elliptic ones"
    raise Unusable(f"Microsoft takes RSA keys of {SHORTEST_KEY} bits or more{others}; it is none.")


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise Unusable("A certificate in it is damaged.") from None


def _pair(key: PrivateKey, keys: list[PrivateKey], certificates: list[x509.Certificate]) -> KeyPair:
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


def _made(key: PrivateKey, chain: list[x509.Certificate]) -> KeyPair:
    if chain[0].public_key() != key.public_key():
        raise Unusable("The certificate in it does not belong to the private key.")
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return KeyPair(
        private_key=private.decode(),
        chain="".join(each.public_bytes(Encoding.PEM).decode() for each in chain),
        ends_at=chain[0].not_valid_after_utc.timestamp(),
        # SHA-1 only names the certificate here; nothing is signed with it.
        thumbprint=chain[0].fingerprint(hashes.SHA1()).hex().upper(),
    )
