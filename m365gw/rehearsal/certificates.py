"""The certificates of a rehearsal: its own authority, its server, and registrations of apps.

`write_certificates` makes, once for a folder, an authority that is trusted by nobody but those who
are told to, and a server certificate for localhost, 127.0.0.1 and ::1. All subjects say that this
is a rehearsal. An existing set is used again until a day before it ends.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from pathlib import Path

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from twisted.internet import ssl

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

LIFETIME = datetime.timedelta(days=365)
ORGANISATION = "m365gw rehearsal (not Microsoft)"
HERE = x509.SubjectAlternativeName(
    [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
)
OURS = x509.SubjectAlternativeName([x509.DNSName("gateway.contoso.example")])
ELSEWHERE = x509.SubjectAlternativeName([x509.DNSName("mail.elsewhere.example")])


@frozen
class CertificateFiles:
    """Names of the PEM files of one rehearsal."""

    authority: Path  # certificate of the authority: what clients are told to trust
    server: Path  # private key and certificate of the server
    elsewhere: Path  # the same for a server of another name
    gateway: Path  # the same for a gateway, by which the connector knows it

    def context_factory(self) -> ssl.CertificateOptions:
        """What a server needs for TLS 1.2 or later with this certificate."""
        return context_factory(self.server.read_bytes())


def context_factory(pem: bytes) -> ssl.CertificateOptions:
    """What a server needs for TLS 1.2 or later with this key and certificate."""
    pair = ssl.PrivateCertificate.loadPEM(pem)  # type: ignore[no-untyped-call]  # Twisted has no types here
    options = pair.options()
    assert isinstance(options, ssl.CertificateOptions)
    return options


def write_certificates(folder: Path) -> CertificateFiles:
    """The certificate files of a folder, made when missing or about to end."""
    files = CertificateFiles(
        folder / "rehearsal-ca.pem",
        folder / "rehearsal-server.pem",
        folder / "rehearsal-elsewhere.pem",
        folder / "rehearsal-gateway.pem",
    )
    others = (files.authority, files.elsewhere, files.gateway)
    if _is_current(files.server) and all(each.exists() for each in others):
        return files
    folder.mkdir(parents=True, exist_ok=True)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _authority(authority_key, "m365gw rehearsal authority")
    write_for_owner(files.elsewhere, _server(authority, authority_key, ELSEWHERE))
    write_for_owner(files.gateway, _server(authority, authority_key, OURS))
    write_for_owner(files.server, _server(authority, authority_key, HERE))
    write_for_owner(files.authority, certificate_pem(authority))
    return files


def inspected_pem() -> bytes:
    """Key and certificate of a firewall that inspects TLS: the right names, another authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _server(_authority(key, "Contoso Firewall CA"), key, HERE)


def app_certificate(
    name: str, begins: datetime.datetime | None = None, *, days: int = 365
) -> tuple[bytes, bytes]:
    """A private key and a self-signed certificate (PEM) to register with a pretend app.

    Valid for so many days from `begins`, an hour ago if not given.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    begins = begins or datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    subject = _name(name)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + datetime.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return private_pem(key), certificate_pem(certificate)


def private_pem(key: PrivateKey) -> bytes:
    """A private key as unencrypted PKCS #8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _authority(key: ec.EllipticCurvePrivateKey, name: str) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    subject = _name(name)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )


def _server(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    names: x509.SubjectAlternativeName,
) -> bytes:
    """A new private key and its certificate, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer_identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(
        authority_key.public_key()
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name("m365gw rehearsal server"))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(authority.not_valid_before_utc)
        .not_valid_after(authority.not_valid_after_utc)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer_identifier, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return private_pem(key) + certificate_pem(certificate)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _is_current(file: Path) -> bool:
    if not file.exists():
        return False
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    return certificate.not_valid_after_utc > tomorrow


def write_for_owner(file: Path, octets: bytes) -> None:
    """The file is there whole, and readable by its owner only from its first moment on."""
    partial = file.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(octets)
    partial.replace(file)
