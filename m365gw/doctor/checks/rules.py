"""D12: the other way round: what must not be possible is refused.

An address that no rule lists must be refused by this gateway, which is asked as a session would
ask it. And the token must not open more than it should: a permission for all mailboxes of the
tenant is said aloud, and Exchange is asked for the mailboxes of [doctor] out_of_scope.
"""

from __future__ import annotations

from m365gw.config.mailboxes import APP_FLOWS
from m365gw.doctor.case import Case
from m365gw.doctor.checks.claims import permissions
from m365gw.doctor.finding import Seen, doubtful, good
from m365gw.edge.admission.rules import Rule, client_rule, local_rule, network_rule
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy
from m365gw.microsoft.replies import Phase
from m365gw.relay.exit.connection import AttemptFailed
from m365gw.relay.exit.proof import Bearer

STRANGER = "nobody@not-yours.example"  # whom no rule should list


async def look(case: Case) -> Seen:
    """D12."""
    tried = f"whether a rule lets <{STRANGER}> through this mailbox; the roles of the app"
    open_to = [rule.name for rule in rules_of(case) if rule.may_be_from(STRANGER)]
    if "Mail.Send" in permissions(case.claims) and "roles" in case.claims:
        diagnosis = Diagnosis(
            "app-sends-as-anyone",
            "This app can send as anyone in your tenant.",
            "It has the application permission Mail.Send, which is for all mailboxes.",
            "Scope it: m365gw script entra --mode certificate prints the commands.",
            "exchange-admin",
        )
        return doubtful(tried, "roles: Mail.Send", diagnosis, _scoped(diagnosis))
    if open_to:
        diagnosis = Diagnosis(
            "rule-for-anybody",
            f"Anybody's address may be used by {', '.join(open_to)}.",
            f'Its senders hold a pattern that also means <{STRANGER}>: "*".',
            "List the addresses, or the patterns of devices, that are needed.",
            "operator",
        )
        fix = Remedy(diagnosis.why, "In m365gw.toml: senders of that rule", "", "operator", "")
        return doubtful(tried, f"let through by {', '.join(open_to)}", diagnosis, fix)
    refused, opened = await _outside(case)
    if opened:
        diagnosis = Diagnosis(
            "app-opens-out-of-scope",
            f"The app of {case.mailbox.address} can also send as {opened}.",
            "[doctor] out_of_scope says that it must not; its role in Exchange has no scope, or"
            " one that is too wide, or it has a right on that mailbox.",
            "Narrow the scope of the app: m365gw script entra --mode certificate prints it.",
            "exchange-admin",
        )
        return doubtful(
            tried, f"Exchange let it sign in as {opened}", diagnosis, _scoped(diagnosis)
        )
    return good(tried, f"refused by every rule{refused}")


async def _outside(case: Case) -> tuple[str, str]:
    """Whom Exchange refused of [doctor] out_of_scope, in words; and whom it let sign in, or ""."""
    outside = case.settings.doctor.out_of_scope
    is_app = case.mailbox.flow in APP_FLOWS and not case.is_connector
    if not outside or case.session is None or not is_app:
        return "", ""  # a person's token opens nobody else's mailbox, and mail by Graph no session
    for address in outside:
        try:
            opened = await case.tools.sessions.open(case.cloud, Bearer(address, case.token))
        except AttemptFailed as failed:
            if failed.phase is not Phase.AUTH or failed.reply.code != 535:
                return f"; {address} could not be tried: {failed.reply}", ""
            continue
        await opened.quit()
        return "", address
    return f"; {', '.join(outside)} by Exchange", ""


def _scoped(diagnosis: Diagnosis) -> Remedy:
    return Remedy(
        diagnosis.why,
        "On this machine: m365gw script entra --mode certificate",
        "",
        "exchange-admin",
        "up to two hours",
    )


def rules_of(case: Case) -> list[Rule]:
    """The rules that lead to this mailbox."""
    settings = case.settings
    made = [
        *map(client_rule, settings.client),
        *map(network_rule, settings.network),
        *(local_rule(local.user, local) for local in settings.local),
    ]
    return [rule for rule in made if rule.mailbox.casefold() == case.mailbox.address.casefold()]
