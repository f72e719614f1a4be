"""Certificates that apps sign in with: made here, and renewed by a new one beside the old one."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from m365gw.config.key_pairs import KeyPair, read_pairs

DAYS = 730  # how long a certificate lasts that is made here
LONGEST_NAME = 64  # characters of a common name, RFC 5280 A.1


def new_certificate(common_name: str, days: int = DAYS) -> bytes:
    """PEM of a new private key (RSA, 2048 bits) and its self-signed certificate. A secret.

    Valid from an hour ago, as clocks differ. Takes about a tenth of a second.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    begins = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:LONGEST_NAME])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + datetime.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)


def renewed(certificate: str, address: str, days: int = DAYS) -> tuple[str, KeyPair]:
    """The certificates of a mailbox with a new one in front of them, and the new one.

    `certificate` is the setting of that name as it is; the text returned is what it is to be. The
    gateway tries the new one first at each sign-in and goes on with the old one while Entra does
    not know it; once Entra took it, the old one is removed from the vault. `chain` of the new one
    is to be uploaded to the app registration.
    """
    made = new_certificate(f"m365gw {address}", days)
    return made.decode() + certificate, read_pairs(made)[0]
