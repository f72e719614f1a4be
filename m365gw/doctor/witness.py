"""TLS that looks at a certificate and refuses none, so that a finding can say who issued it.

OpenSSL verifies the chain against the same authorities as the deliveries do, and its complaints
are kept instead of ending the handshake. The name is compared as the deliveries compare it.
Never to be used where anything secret is said afterwards.
"""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Final

from attrs import frozen
from cryptography import x509
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from service_identity import VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer


@frozen
class Presented:
    """The certificate a server showed.

    chain_fault   OpenSSL's complaint about the chain; "" when it is trusted
    names         the names it is for
    """

    subject: str
    issuer: str
    names: tuple[str, ...]
    ends_at: datetime
    chain_fault: str
    is_for_host: bool
    protocol: str  # "TLSv1.3"


@implementer(IOpenSSLClientConnectionCreator)
class Witness:
    """Makes the connection of one handshake, and remembers what it saw."""

    def __init__(self, host: str, ca_file: str) -> None:
        self._host = host
        self._faults: list[str] = []
        self._connection: SSL.Connection | None = None
        self._context = SSL.Context(SSL.TLS_METHOD)
        self._context.set_min_proto_version(SSL.TLS1_2_VERSION)
        if ca_file:
            self._context.load_verify_locations(ca_file)
        else:
            self._context.set_default_verify_paths()
        self._context.set_verify(SSL.VERIFY_PEER, self._note)

    def _note(
        self, connection: SSL.Connection, certificate: crypto.X509, fault: int, depth: int, ok: int
    ) -> bool:
        if not ok:
            self._faults.append(_FAULTS.get(fault, f"OpenSSL refuses its chain (error {fault})"))
        return True

    def clientConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """What Twisted asks for when the handshake begins."""
        connection = SSL.Connection(self._context, None)
        if not _is_address(self._host):
            connection.set_tlsext_host_name(self._host.encode("idna"))
        self._connection = connection
        return connection

    def presented(self) -> Presented | None:
        """What was seen; None when the handshake did not get that far."""
        connection = self._connection
        seen = connection.get_peer_certificate() if connection is not None else None
        if connection is None or seen is None:
            return None
        certificate = seen.to_cryptography()
        return Presented(
            subject=_name(certificate.subject),
            issuer=_name(certificate.issuer),
            names=_names(certificate),
            ends_at=certificate.not_valid_after_utc.astimezone(UTC),
            chain_fault=self._faults[0] if self._faults else "",
            is_for_host=self._is_for_host(connection),
            protocol=connection.get_protocol_version_name(),
        )

    def _is_for_host(self, connection: SSL.Connection) -> bool:
        compare = verify_ip_address if _is_address(self._host) else verify_hostname
        try:
            compare(connection, self._host)
        except (VerificationError, ValueError):
            return False
        return True


# X509_V_ERR_*, verify(1ssl)
_FAULTS: Final = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is signed by itself",
    19: "its chain ends in an authority that is not trusted",
    20: "its issuer is not known here",
    21: "its chain is incomplete",
    23: "it was revoked",
}


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _name(name: x509.Name) -> str:
    """Common name and organisation, as a person would call it."""
    parts = [
        str(attribute.value)
        for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
        for attribute in name.get_attributes_for_oid(oid)
    ]
    return ", ".join(dict.fromkeys(parts)) or name.rfc4514_string()


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return ()
    dns = extension.value.get_values_for_type(x509.DNSName)
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return (*dns, *map(str, addresses))
