"""D12: the other way round: what must not be possible is refused.

An address that no rule lists must be refused by this gateway, which is asked as a session would
ask it. And the token must not open more than it should: a permission for all mailboxes of the
tenant is said aloud.
"""

from __future__ import annotations

from m365gw.doctor.case import Case
from m365gw.doctor.checks.claims import permissions
from m365gw.doctor.finding import Seen, doubtful, good
from m365gw.edge.admission.rules import Rule, client_rule, network_rule
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy

STRANGER = "nobody@not-yours.example"  # whom no rule should list


async def look(case: Case) -> Seen:
    """D12."""
    tried = f"whether a rule lets <{STRANGER}> through this mailbox; the roles of the app"
    open_to = [rule.name for rule in _rules(case) if rule.may_be_from(STRANGER)]
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
    return good(tried, "refused by every rule")


def _scoped(diagnosis: Diagnosis) -> Remedy:
    return Remedy(
        diagnosis.why,
        "On this machine: m365gw script entra --mode certificate",
        "",
        "exchange-admin",
        "up to two hours",
    )


def _rules(case: Case) -> list[Rule]:
    """The rules that lead to this mailbox."""
    settings = case.settings
    made = [
        *map(client_rule, settings.client),
        *map(network_rule, settings.network),
    ]
    return [rule for rule in made if rule.mailbox.casefold() == case.mailbox.address.casefold()]
