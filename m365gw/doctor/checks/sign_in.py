"""D09: does Exchange Online open the mailbox with this token (AUTH XOAUTH2).

The session is opened by the code that opens those of deliveries. It stays open for D10 and D11 and
is the only one that is signed in. The four causes of a bare 535 5.7.3, which Exchange does not tell
apart, are ordered by what the token showed.
"""

from __future__ import annotations

from m365gw.config.mailboxes import APP_FLOWS
from m365gw.doctor.case import Case
from m365gw.doctor.checks.claims import permissions
from m365gw.doctor.finding import Seen, bad, good
from m365gw.microsoft.actors import Who
from m365gw.microsoft.remedies import Remedy, remedy
from m365gw.microsoft.remedies_entra import CONSENT, SMTP_PERMISSION
from m365gw.microsoft.remedies_exchange import (
    FULL_ACCESS,
    LICENCE,
    ROLE_IN_SCOPE,
    SERVICE_PRINCIPAL,
    SMTP_AUTH,
)
from m365gw.microsoft.remedies_rows import Steps
from m365gw.microsoft.replies import react, strip_tag
from m365gw.relay.exit.connection import AttemptFailed
from m365gw.relay.exit.proof import Bearer


async def look(case: Case) -> Seen:
    """D09. Leaves the session in the case."""
    host, port = case.host_and_port
    address = case.mailbox.address
    tried = f"AUTH XOAUTH2 at {host}:{port} as {address}"
    try:
        case.session = await case.tools.sessions.open(case.cloud, Bearer(address, case.token))
    except AttemptFailed as failed:
        diagnosis = case.named(react(failed.phase, failed.reply).diagnosis)
        came_back = f"{failed.phase.value}: {failed.reply}"
        is_bare = diagnosis.key == "auth-unsuccessful"
        remedies = causes(case) if is_bare else (case.remedy(diagnosis),)
        return bad(tried, strip_tag(came_back), diagnosis, *remedies)
    return good(tried, "235: signed in")


def causes(case: Case) -> tuple[Remedy, ...]:
    """What a bare 535 5.7.3 may come from, the likeliest first."""
    chosen = _for_an_app(case) if case.mailbox.flow in APP_FLOWS else _for_a_user()
    return tuple(remedy(cause, who, steps, case.names) for cause, who, steps in chosen)


def _for_an_app(case: Case) -> list[tuple[str, Who, Steps]]:
    principal: tuple[str, Who, Steps] = (
        "The service principal was registered in Exchange with the object id of the App"
        " registration, not of the Enterprise application, or not at all.",
        "exchange-admin",
        SERVICE_PRINCIPAL,
    )
    off: tuple[str, Who, Steps] = (
        "SMTP AUTH is off for the mailbox (older wording of 5.7.139).",
        "exchange-admin",
        SMTP_AUTH,
    )
    missing: tuple[str, Who, Steps] = (
        "There is no such mailbox, it has no licence, or it was created a moment ago.",
        "exchange-admin",
        LICENCE,
    )
    if "SMTP.SendAsApp" in permissions(case.claims):
        right: tuple[str, Who, Steps] = (
            "The app has SMTP.SendAsApp in Entra, so Exchange asks for its right on the mailbox,"
            " and it has none.",
            "exchange-admin",
            FULL_ACCESS,
        )
        return [right, principal, off, missing]
    scope: tuple[str, Who, Steps] = (
        "The token carries no role, so the right must come from the role Application"
        " SMTP.SendAsApp in Exchange, and the mailbox is not in its scope.",
        "exchange-admin",
        ROLE_IN_SCOPE,
    )
    permission: tuple[str, Who, Steps] = (
        "Neither that role nor the permission SMTP.SendAsApp in Entra was granted.",
        "entra-admin",
        SMTP_PERMISSION,
    )
    return [scope, principal, permission, off, missing]


def _for_a_user() -> list[tuple[str, Who, Steps]]:
    return [
        ("SMTP AUTH is off for the mailbox.", "exchange-admin", SMTP_AUTH),
        (
            "Somebody else has signed in than the user of the mailbox.",
            "mailbox-user",
            Steps("On this machine: m365gw mailbox signin <mailbox>", "", "at once"),
        ),
        ("The user has no mailbox, or no licence.", "exchange-admin", LICENCE),
        ("The consent was taken back.", "entra-admin", CONSENT),
    ]
