"""The certificate clients see: loaded, reloaded when its files change, made on first start.

A renewed certificate is taken without a restart: the files are looked at once a minute, when a
client asks for TLS. Files that cannot be used are logged and the old certificate stays. TLS 1.2
and newer, server's choice of cipher, no renegotiation, no session tickets.

Failures: CertificateUnusable, from `ServerCertificate()` only, in words for the operator.
"""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IReactorTime
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

LOOK_SECONDS: Final = 60.0  # between two looks at the files
SELF_SIGNED_DAYS: Final = 3650  # clients that trust it have pinned it; it must not end by surprise

_log = Logger()


class CertificateUnusable(Exception):
    """The certificate or its key cannot be used; the text says which and why."""


@implementer(IOpenSSLServerConnectionCreator)
class ServerCertificate:
    """A certificate with its chain and key, from two PEM files, for `startTLS` and listeners."""

    def __init__(self, certificate: str, key: str, clock: IReactorTime) -> None:
        self._files = (certificate, key)
        self._clock = clock
        self._seen = self._stamps()
        self._context = _load(certificate, key)
        self._look_at = clock.seconds() + LOOK_SECONDS

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """One server side of TLS, with the certificate of this moment."""
        if self._clock.seconds() >= self._look_at:
            self.reload_if_changed()
        return SSL.Connection(self._context, None)

    def reload_if_changed(self) -> None:
        """Take new files if there are any; keep what is loaded if they cannot be used."""
        self._look_at = self._clock.seconds() + LOOK_SECONDS
        stamps = self._stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        try:
            self._context = _load(*self._files)
        except CertificateUnusable as error:
            _log.error("{error}. The certificate loaded before stays in use", error=str(error))
        else:
            _log.info("The certificate {file} was loaded anew", file=self._files[0])

    def _stamps(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(name) for name in self._files)


def self_signed(state_dir: str, hostname: str, now: datetime.datetime) -> tuple[str, str]:
    """Certificate and key file of our own in state_dir/tls, made when they are not there yet.

    The key is written first and each file appears whole, so a start that was cut off makes a new
    pair and never a pair that does not fit.
    """
    folder = Path(state_dir, "tls")
    certificate, key = folder / "self-signed.crt", folder / "self-signed.key"
    if not (certificate.exists() and key.exists()):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        certificate.unlink(missing_ok=True)
        secret = ec.generate_private_key(ec.SECP256R1())
        _write_private(
            key,
            secret.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )
        signed = _sign(secret, hostname, now)
        _write_private(certificate, signed.public_bytes(serialization.Encoding.PEM))
    return str(certificate), str(key)


def _sign(
    secret: ec.EllipticCurvePrivateKey, hostname: str, now: datetime.datetime
) -> x509.Certificate:
    # A common name holds 64 characters at most; the names that count stand in the extension.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    names = x509.SubjectAlternativeName([x509.DNSName(hostname)])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clients' clocks may be behind
        .not_valid_after(now + datetime.timedelta(days=SELF_SIGNED_DAYS))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=False)
        .sign(secret, hashes.SHA256())
    )


def _write_private(path: Path, octets: bytes) -> None:
    """Write a file that only we may read, whole or not at all."""
    unfinished = path.with_suffix(".tmp")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)


def _load(certificate: str, key: str) -> SSL.Context:
    """A TLS context from PEM files; raises CertificateUnusable."""
    file = certificate
    try:
        chain = x509.load_pem_x509_certificates(Path(certificate).read_bytes())
        file = key
        secret = crypto.load_privatekey(crypto.FILETYPE_PEM, Path(key).read_bytes(), b"")
    except OSError as error:
        raise CertificateUnusable(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, crypto.Error) as error:
        kind = "certificate" if file == certificate else "private key without a passphrase"
        raise CertificateUnusable(f"{file} holds no {kind} in PEM form") from error
    options = CertificateOptions(
        privateKey=secret,
        certificate=crypto.X509.from_cryptography(chain[0]),
        extraCertChain=[crypto.X509.from_cryptography(each) for each in chain[1:]],
        raiseMinimumTo=TLSVersion.TLSv1_2,
    )
    try:
        context = options.getContext()
        context.check_privatekey()
    except SSL.Error as error:
        raise CertificateUnusable(f"{key} is not the key of {certificate}") from error
    context.set_options(SSL.OP_NO_RENEGOTIATION)
    return context


def _stamp(name: str) -> tuple[int, int, int] | None:
    """What changes when a file is replaced or rewritten; None when it is not there."""
    try:
        status = os.stat(name)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
