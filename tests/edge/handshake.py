"""TLS handshakes in memory, and certificates to make them with."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any, Final, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator

from m365gw.edge.listening.tls_terms import Pair

NOW: Final = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)


def write_pair(
    folder: str,
    *names: str,
    days: float = 365,
    is_rsa: bool = False,
    now: datetime.datetime = NOW,
    alternatives: x509.ExtensionType | None = None,
) -> Pair:
    """A certificate for these names, good from now on for so many days, with its key.

    `alternatives` is what stands in it in place of the names.
    """
    Path(folder).mkdir(exist_ok=True)
    secret: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if is_rsa:
        secret = rsa.generate_private_key(65537, 2048)
    else:
        secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(
            alternatives or x509.SubjectAlternativeName([x509.DNSName(each) for each in names]),
            critical=False,
        )
        .sign(secret, hashes.SHA256())
    )
    pair = Pair(f"{folder}/tls.crt", f"{folder}/tls.key")
    Path(pair.certificate).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    Path(pair.key).write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pair


def client(
    highest: int = SSL.TLS1_3_VERSION, name: str = "", ciphers: str = "ALL"
) -> SSL.Connection:
    """A client that takes any certificate, up to this version of TLS, with these ciphers."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_max_proto_version(highest)
    context.set_cipher_list(f"{ciphers}:@SECLEVEL=0".encode())
    connection = SSL.Connection(context, None)
    if name:
        connection.set_tlsext_host_name(name.encode())
    return connection


def met(terms: IOpenSSLServerConnectionCreator, end: SSL.Connection | None = None) -> Any:
    """The client's end of a handshake that is done. Raises SSL.Error."""
    end = end or client()
    carry(terms.serverConnectionForTLS(cast(Any, None)), end)
    return end


def serial(terms: IOpenSSLServerConnectionCreator, name: str = "") -> int:
    """The number of the certificate a client sees that asks for this name."""
    return int(met(terms, client(name=name)).get_peer_certificate().get_serial_number())


def serial_in(pair: Pair) -> int:
    """The number of the certificate in a file."""
    return x509.load_pem_x509_certificate(Path(pair.certificate).read_bytes()).serial_number


def carry(server: SSL.Connection, client: SSL.Connection) -> None:
    """Carry octets between two ends in memory until both have finished."""
    client.set_connect_state()
    server.set_accept_state()
    is_done = [False, False]
    for _ in range(10):
        for index, (end, other) in enumerate(((client, server), (server, client))):
            try:
                end.do_handshake()
                is_done[index] = True
            except SSL.WantReadError:
                pass
            try:
                other.bio_write(end.bio_read(65536))
            except SSL.WantReadError:
                continue
        if all(is_done):
            return
    raise AssertionError("The handshake did not come to an end")
