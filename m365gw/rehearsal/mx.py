"""The host that takes mail for the pretend tenant (its MX), with an inbound connector.

Nobody signs in here. Whom the connector knows, by the certificate of the handshake or by address,
may send to anybody as a domain of the tenant. From others the host takes mail for the tenant
itself, as from anyone.

A certificate counts as with Microsoft: it lasts, is issued by an authority that is trusted (here
that of the rehearsal, directly), and has the name of the connector.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf
from typing import Any, Final

from attrs import define
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from OpenSSL import SSL
from twisted.internet.ssl import CertificateOptions

from m365gw.rehearsal.answers import ANSWERS
from m365gw.rehearsal.exchange import Exchange, Login
from m365gw.rehearsal.middlebox import Certificates
from m365gw.rehearsal.submission import SubmissionSession
from m365gw.rehearsal.tenant import Mailbox, Tenant, matches

BY_CONNECTOR: Final = "by connector"  # the mailbox of its mail in the record: there is none
UNKNOWN: Final = "unknown"
_ANYBODY: Final = Mailbox(address=BY_CONNECTOR, send_as=("*",), max_send_size=157_286_400)


@define(kw_only=True)
class TenantHost(Exchange):
    """The decisions of the MX."""

    authority: x509.Certificate  # the only one that is trusted

    def attributed(self, shown: x509.Certificate | None, address: str) -> bool:
        """Whether the connector knows who shows this certificate (or none) from this address."""
        tenant = self.tenant
        by_name = shown is not None and self._is_trusted(shown) and _has_name(shown, tenant)
        return by_name or address in tenant.connector_addresses

    def _is_trusted(self, shown: x509.Certificate) -> bool:
        now = datetime.fromtimestamp(self.clock.seconds(), UTC)
        try:
            shown.verify_directly_issued_by(self.authority)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return shown.not_valid_before_utc <= now <= shown.not_valid_after_utc

    def mailbox_of(self, login: Login) -> Mailbox:
        """There is none: what a mailbox may not, is no matter here."""
        return _ANYBODY

    def refuse_sender(self, login: Login, sender: str, size: int) -> str:
        """The answer that refuses a MAIL FROM, or ""."""
        return ANSWERS["too-large"] if size > self.size_limit(login) else ""

    def refuse_recipient(self, login: Login, sender: str, recipient: str) -> str:
        """The answer that refuses a RCPT TO, or ""."""
        is_ours = self.tenant.accepts(sender)
        if login.mailbox == BY_CONNECTOR and is_ours:
            return ""
        if not self.tenant.accepts(recipient):
            return ANSWERS["not-attributed"]
        return ANSWERS["direct-send"] if is_ours and self.tenant.reject_direct_send else ""


class MxSession(SubmissionSession):
    """The server side of one connection to the MX."""

    SIGN_INS = ()

    def _welcome(self, name: str) -> None:
        super()._welcome(name)
        if self._secure:
            host: Any = self.exchange
            shown = self.transport.getPeerCertificate()
            known = host.attributed(
                shown and shown.to_cryptography(), self.transport.getPeer().host
            )
            self.login = Login(mailbox=BY_CONNECTOR if known else UNKNOWN, client_id="", ends=inf)


class AskingCertificates(Certificates):
    """The certificates of a server that asks clients for theirs, and lets in who has none."""

    def _make(self, wanted: str) -> CertificateOptions:
        options = super()._make(wanted)
        options.getContext().set_verify(SSL.VERIFY_PEER, lambda *_: True)
        return options


def _has_name(certificate: x509.Certificate, tenant: Tenant) -> bool:
    """Whether the certificate is for the connector's name; a name with "*." is a pattern."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return False
    known = names.value.get_values_for_type(x509.DNSName)
    return any(matches(tenant.connector, name) for name in known)
