"""A certificate of our own, made on the first start, for as long as the operator has given none."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from m365gw.directory.private_files import write_private

SELF_SIGNED_DAYS: Final = 3650  # clients that trust it have pinned it; it must not end by surprise


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
        write_private(
            key,
            secret.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )
        signed = _sign(secret, hostname, now)
        write_private(certificate, signed.public_bytes(serialization.Encoding.PEM))
    return str(certificate), str(key)


def forget(state_dir: str) -> None:
    """Take the pair away, so that another one is made."""
    Path(state_dir, "tls", "self-signed.crt").unlink(missing_ok=True)


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
