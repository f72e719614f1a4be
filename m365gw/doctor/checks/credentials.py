"""D13: how long what the mailbox signs in with will last.

A certificate says itself when it ends. The end of a client secret is known to Entra alone, and a
sign-in by a person lives as long as it is used once in 90 days.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from m365gw.config.settings import Mailbox
from m365gw.doctor.case import Case
from m365gw.doctor.finding import Seen, bad, doubtful, good, note
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import remedy
from m365gw.microsoft.remedies_entra import CERTIFICATE

WARN_DAYS: Final = 30
_PLAIN: Final = {
    "secret": "when a client secret ends only Entra knows: Certificates & secrets > Expires",
    "device": "a sign-in lasts while it is used once in 90 days; the gateway sees to that",
    "web": "a sign-in lasts while it is used once in 90 days; the gateway sees to that",
    "federated": "nothing that ends: each token is asked for with a fresh assertion",
    "managed-identity": "nothing that ends: Azure renews it",
}


async def look(case: Case) -> Seen:
    """D13."""
    mailbox = case.mailbox
    tried = f"when the credential of {mailbox.address} ends (flow {mailbox.flow})"
    if mailbox.flow != "certificate":
        return note(tried, _PLAIN.get(mailbox.flow, "unknown"))
    try:
        ends_at = await case.tools.calls.call(certificate_end, mailbox)
    except (OSError, ValueError) as problem:
        return note(tried, f"the certificate cannot be read: {type(problem).__name__}")
    left = (ends_at - datetime.fromtimestamp(case.tools.reactor.seconds(), UTC)).days
    came_back = f"the certificate ends on {ends_at:%Y-%m-%d}, in {left} days"
    if left > WARN_DAYS:
        return good(tried, came_back)
    diagnosis = Diagnosis(
        "certificate-ends",
        f"The certificate of {mailbox.address} {'ends soon' if left >= 0 else 'has ended'}.",
        f"It is good until {ends_at:%Y-%m-%d}.",
        "Upload a new one beside it, then put it into certificate_file; the old one may stay.",
        "entra-admin",
    )
    fix = remedy(diagnosis.why, "entra-admin", CERTIFICATE, case.names)
    return (doubtful if left >= 0 else bad)(tried, came_back, diagnosis, fix)


def certificate_end(mailbox: Mailbox) -> datetime:
    """When the certificate in certificate_file ends. Blocking. Raises OSError, ValueError."""
    pem = Path(mailbox.certificate_file).read_bytes()
    begin = pem.index(b"-----BEGIN CERTIFICATE-----")
    return x509.load_pem_x509_certificate(pem[begin:]).not_valid_after_utc
