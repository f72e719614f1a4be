"""D05: what the submission host offers: STARTTLS in clear, XOAUTH2 under TLS (not of the
host of a tenant, where nobody signs in).

Some firewalls rewrite SMTP: they blank out keywords of EHLO with X, or greet with stars.
"""

from __future__ import annotations

import re
from typing import Final

from m365gw.doctor.case import Case
from m365gw.doctor.finding import Seen, bad, good
from m365gw.doctor.visit import Visit
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy
from m365gw.relay.exit.esmtp import Extensions
from m365gw.relay.exit.lost import Lost
from m365gw.smtp.replies import Reply

_MANGLED: Final = re.compile(r"X{4,}|\*{6,}")

_inspection: Final = Diagnosis(
    "smtp-rewritten",
    "Something on the way rewrites the SMTP dialogue.",
    "A firewall inspects mail and blanks out what it does not know (Cisco ASA: inspect esmtp).",
    "Switch off mail inspection for this machine.",
    "operator",
)
_no_starttls: Final = Diagnosis(
    "starttls-missing",
    "The host does not offer STARTTLS.",
    "A firewall removes the offer, or this is not a submission host of Microsoft 365.",
    "Switch off mail inspection for this machine, and check smtp of the mailbox's cloud.",
    "operator",
)
_no_xoauth2: Final = Diagnosis(
    "xoauth2-missing",
    "The host does not offer AUTH XOAUTH2 under TLS.",
    "This is not a submission host of Microsoft 365, or something answers in its place.",
    "Check smtp of the mailbox's cloud (world-wide: smtp.office365.com, port 587).",
    "operator",
)
_ehlo_refused: Final = Diagnosis(
    "ehlo-refused",
    "The host refuses EHLO.",
    "It does not take the name this gateway gives (hostname), or it speaks no ESMTP.",
    "Set hostname in m365gw.toml to the full name of this machine.",
    "operator",
)


async def look(case: Case) -> Seen:
    """D05. D06 judges the certificate that was shown meanwhile."""
    visit: Visit = case.visit
    host, port = case.host_and_port
    tried = f"EHLO {case.settings.hostname} to {host}:{port}, STARTTLS, EHLO"
    try:
        await visit.look(host, case.cloud.ca_file)
    except Lost as lost:
        return _bad(tried, str(lost), _inspection, host)
    first, second = visit.first, visit.second
    assert first is not None
    if first.code != 250:
        mangled = _MANGLED.search(first.text)
        return _bad(tried, str(first), _inspection if mangled else _ehlo_refused, host)
    if "STARTTLS" not in Extensions.of(first):
        mangled = _MANGLED.search(first.text)
        return _bad(tried, _words(first), _inspection if mangled else _no_starttls, host)
    if second is None:  # no TLS: that is for D06 to say
        return good(tried, f"STARTTLS is offered; then: {visit.handshake_fault}")
    if not case.is_connector and not Extensions.of(second).has_mechanism("XOAUTH2"):
        return _bad(tried, _words(second), _no_xoauth2, host)
    return good(tried, f"STARTTLS, then under TLS: {_words(second)}")


def _words(reply: Reply) -> str:
    keywords = ", ".join(reply.text.split("\n")[1:]) or "no extension"
    return f"{reply.code} {keywords}"


def _bad(tried: str, came_back: str, diagnosis: Diagnosis, host: str) -> Seen:
    words = f"On the firewall: exempt {host} from mail inspection"
    if diagnosis.key == "smtp-rewritten":
        words += (
            " (Cisco ASA: policy-map global_policy, class inspection_default, no inspect esmtp)"
        )
    if diagnosis.key == "ehlo-refused":
        words = "In m365gw.toml: hostname"
    return bad(tried, came_back, diagnosis, Remedy(diagnosis.why, words, "", "operator", "at once"))
