"""The terms on which TLS is spoken with clients: versions, ciphers, and which certificate.

Modern terms are for everybody: TLS 1.2 and newer, a fresh key for each connection (ECDHE), our
choice of cipher; no renegotiation, no compression, no sessions and no tickets to resume by. Legacy
terms are for named old devices: TLS 1.0 and 1.1 and what ciphers they knew, without those that can
be read along. Devices of that time mostly need an RSA certificate too.

A client that asks for a name (SNI) is shown the certificate with that name; any other, the first.

Failures: CertificateUnusable, in words for the operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.internet.ssl import CertificateOptions, TLSVersion

MODERN_CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!aNULL:!eNULL"
# Security level 0 is what allows SHA-1 in the handshake, and without it there is no TLS 1.0.
LEGACY_CIPHERS: Final = MODERN_CIPHERS + b":RSA+AESGCM:RSA+AES:RSA+3DES:!aNULL:!eNULL:@SECLEVEL=0"


class CertificateUnusable(Exception):
    """A certificate or its key cannot be used; the text says which and why."""


@frozen
class Octets:
    """A pair as it was read, in PEM form; `instead`: why it is not that of the files."""

    certificate: bytes
    key: bytes
    instead: str = ""


@frozen
class Pair:
    """A certificate with its chain, and its key, each in a PEM file."""

    certificate: str
    key: str

    def read(self) -> Octets:
        """What is in the files. Raises CertificateUnusable."""
        return Octets(_octets(self.certificate), _octets(self.key))


@frozen(eq=False)
class Loaded:
    """A pair as it was read."""

    pair: Pair
    chain: Sequence[x509.Certificate]
    names: Sequence[str]  # it is for, in lower case
    secret: crypto.PKey
    instead: str = ""  # why clients see this one, and not that of the files

    @property
    def ends_at(self) -> datetime:
        """The last moment clients take it."""
        return min(each.not_valid_after_utc for each in self.chain)


def load(pair: Pair) -> Loaded:
    """Read a pair. Raises CertificateUnusable."""
    octets = pair.read()
    try:
        chain = x509.load_pem_x509_certificates(octets.certificate)
        names = _names(chain[0])
    except (ValueError, x509.DuplicateExtension) as error:
        raise CertificateUnusable(f"{pair.certificate} holds no certificate in PEM form") from error
    try:
        secret = crypto.load_privatekey(crypto.FILETYPE_PEM, octets.key, b"")
    except (ValueError, TypeError, crypto.Error) as error:
        words = f"{pair.key} holds no private key without a passphrase in PEM form"
        raise CertificateUnusable(words) from error
    return Loaded(pair, chain, names, secret, octets.instead)


def _octets(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise CertificateUnusable(f"{file} cannot be read: {error.strerror}") from error


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in found.value.get_values_for_type(x509.DNSName)]


class Terms:
    """TLS with one set of versions and ciphers, for all certificates there are."""

    def __init__(self, loaded: Sequence[Loaded], *, is_legacy: bool) -> None:
        """Raises CertificateUnusable when a key is not that of its certificate."""
        self._by_name: dict[str, SSL.Context] = {}
        contexts = [_context(each, is_legacy=is_legacy) for each in loaded]
        for each, context in zip(loaded, contexts, strict=True):
            for name in each.names:
                self._by_name.setdefault(name, context)
        self._first = contexts[0]
        self._first.set_tlsext_servername_callback(self._choose)

    def connection(self) -> SSL.Connection:
        """The server side of one connection."""
        return SSL.Connection(self._first, None)

    def _choose(self, connection: SSL.Connection) -> None:
        name = (connection.get_servername() or b"").decode("ascii", "replace").lower()
        _, dot, parent = name.partition(".")
        context = self._by_name.get(name) or self._by_name.get(f"*{dot}{parent}")
        if context is not None:
            connection.set_context(context)


def _context(loaded: Loaded, *, is_legacy: bool) -> SSL.Context:
    lowest: dict[str, Any] = {"raiseMinimumTo": TLSVersion.TLSv1_2}
    if is_legacy:
        lowest = {"insecurelyLowerMinimumTo": TLSVersion.TLSv1_0}
    options = CertificateOptions(
        privateKey=loaded.secret,
        certificate=crypto.X509.from_cryptography(loaded.chain[0]),
        extraCertChain=[crypto.X509.from_cryptography(each) for each in loaded.chain[1:]],
        **lowest,
    )
    try:
        context = options.getContext()
        context.check_privatekey()
    except SSL.Error as error:
        pair = loaded.pair
        raise CertificateUnusable(f"{pair.key} is not the key of {pair.certificate}") from error
    context.set_cipher_list(LEGACY_CIPHERS if is_legacy else MODERN_CIPHERS)
    context.set_options(SSL.OP_NO_RENEGOTIATION)
    # SMTP has no name in ALPN. Twisted's answer to who offers some is for factories of its own.
    context.set_alpn_select_callback(lambda _connection, _offers: SSL.NO_OVERLAPPING_PROTOCOLS)
    return context
