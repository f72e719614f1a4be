"""D06: is the certificate of the host trusted, and for its name; who issued it."""

from __future__ import annotations

from typing import Final

from m365gw.doctor.case import Case
from m365gw.doctor.finding import Seen, bad, good
from m365gw.doctor.visit import Visit
from m365gw.doctor.witness import Presented
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy

_no_handshake: Final = Diagnosis(
    "tls-handshake-failed",
    "The TLS handshake did not succeed.",
    "Something on the way breaks TLS, or allows only versions older than 1.2.",
    "Exempt the host from inspection on the firewall.",
    "operator",
)


async def look(case: Case) -> Seen:
    """D06, on what D05 saw."""
    visit: Visit = case.visit
    host, _ = case.host_and_port
    tried = f"the certificate of {host} at {visit.peer}"
    seen = visit.presented
    if seen is None:
        return bad(tried, visit.handshake_fault, _no_handshake, _exempt(_no_handshake, host))
    came_back = (
        f"{seen.protocol}, issued to {seen.subject} by {seen.issuer} for"
        f" {', '.join(seen.names[:6]) or 'no name'}, until {seen.ends_at:%Y-%m-%d}"
    )
    if seen.chain_fault:
        return _untrusted(case, host, tried, came_back, seen)
    if not seen.is_for_host:
        diagnosis = Diagnosis(
            "certificate-name",
            f"The certificate is not for {host}.",
            f"It is for {', '.join(seen.names[:6]) or 'no name'}: another server answers in its"
            " place, or the name of the host is wrong.",
            "Check smtp of the mailbox's cloud, and what this machine resolves it to (D03).",
            "operator",
        )
        return bad(tried, came_back, diagnosis, _exempt(diagnosis, host))
    return good(tried, came_back)


def _untrusted(case: Case, host: str, tried: str, came_back: str, seen: Presented) -> Seen:
    trust = case.cloud.ca_file or "the authorities of this system"
    diagnosis = Diagnosis(
        "tls-inspection",
        f'The certificate of {host} is issued by "{seen.issuer}": {seen.chain_fault}.',
        "That is no authority this machine trusts: most likely a firewall of yours inspects TLS"
        " (or the authorities of this system are out of date).",
        f"Exempt {host} from TLS inspection, or add this authority to {trust}.",
        "operator",
    )
    return bad(
        tried,
        came_back,
        diagnosis,
        _exempt(diagnosis, host),
        Remedy(
            "The authorities of this system are out of date.",
            "On this machine, as root: apt-get install --only-upgrade ca-certificates;"
            " update-ca-certificates",
            "",
            "operator",
            "at once",
        ),
    )


def _exempt(diagnosis: Diagnosis, host: str) -> Remedy:
    words = f"On the firewall: exempt {host} from TLS inspection (SSL decryption)"
    return Remedy(diagnosis.why, words, "", "operator", "at once")
