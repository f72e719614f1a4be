"""A certificate of our own, made on the first start, for as long as the operator has given none.

    state_dir/tls/self-signed.crt     may be given to clients
    state_dir/tls/self-signed.key     sealed by the key in state_dir/keys, and opened in memory only

The key is written first and each file appears whole, so a start that was cut off makes a new pair
and never a pair that does not fit. Where there is no key to seal by yet (a first start without the
database) it lies in clear until there is one: the reload that comes with it seals it. While what
was sealed does not open, another pair stands in for it, in memory: mail is taken, and nothing that
clients have pinned is lost.

Failures: CertificateUnusable, in words for the operator.
"""

from __future__ import annotations

import datetime
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from m365gw.directory.private_files import write_private
from m365gw.directory.seal import Seal, SealError
from m365gw.directory.sealed_file import SealedFile
from m365gw.edge.listening.tls_terms import CertificateUnusable, Octets, Pair

SELF_SIGNED_DAYS: Final = 3650  # clients that trust it have pinned it; it must not end by surprise
KEY: Final = "tls/self-signed.key"
_IN_CLEAR: Final = b"-----BEGIN"


def self_signed(state_dir: str, hostname: str, now: datetime.datetime) -> OwnPair:
    """Certificate and key of our own in state_dir/tls, made when they are not there yet."""
    folder = Path(state_dir, "tls")
    certificate, key = folder / "self-signed.crt", Path(state_dir, KEY)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (certificate.exists() and key.exists()):
            certificate.unlink(missing_ok=True)
            made = _made(hostname, now)
            _keep(state_dir, made.key)
            write_private(certificate, made.certificate)
        elif (octets := key.read_bytes()).startswith(_IN_CLEAR):
            _keep(state_dir, octets)
    except OSError as error:
        raise CertificateUnusable(f"{folder} cannot be written: {error.strerror}") from error
    return OwnPair(str(certificate), str(key), state_dir, hostname)


def forget(state_dir: str) -> None:
    """Take the pair away, so that another one is made."""
    Path(state_dir, "tls", "self-signed.crt").unlink(missing_ok=True)


def sealed_key(state_dir: str) -> SealedFile:
    """Where the key lies."""
    return SealedFile(state_dir, KEY, Seal(state_dir))


@frozen
class OwnPair(Pair):
    """The pair we made, whose key is opened when it is loaded."""

    state_dir: str
    hostname: str

    def read(self) -> Octets:
        """Both files; the pair that stands in while the key does not open."""
        stored = super().read()
        if stored.key.startswith(_IN_CLEAR):
            return stored
        try:
            return Octets(stored.certificate, sealed_key(self.state_dir).read())
        except (OSError, SealError) as error:
            return _made(self.hostname, datetime.datetime.now(datetime.UTC), instead=str(error))


def _keep(state_dir: str, key: bytes) -> None:
    """Store the key, sealed where that can be done."""
    file = sealed_key(state_dir)
    with suppress(SealError):  # an unusable key file is said by whoever needs it
        if Seal(state_dir).exists():
            file.write(key)
            return
    write_private(file.path, key)


def _made(hostname: str, now: datetime.datetime, *, instead: str = "") -> Octets:
    secret = ec.generate_private_key(ec.SECP256R1())
    key = secret.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    certificate = _sign(secret, hostname, now).public_bytes(serialization.Encoding.PEM)
    return Octets(certificate, key, instead)


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
