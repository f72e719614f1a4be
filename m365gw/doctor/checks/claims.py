"""D08: what stands in the token, read here and believed by nobody.

A token that Entra gives proves nothing; Exchange answers the same 535 5.7.3 to each kind of wrong
one. Its claims tell them apart: for whom it is (`aud`), of which tenant and app, with which
permission, for which user, and from when. A token of a personal account cannot be read.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from m365gw.config.mailboxes import APP_FLOWS
from m365gw.doctor.case import Case
from m365gw.doctor.checks.clock import FAIL, judged
from m365gw.doctor.finding import Seen, bad, good, note
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy, remedy
from m365gw.microsoft.remedies_entra import CONSENT, SMTP_PERMISSION
from m365gw.microsoft.remedies_rows import AT_ONCE

EXCHANGE_APP: Final = "00000002-0000-0ff1-ce00-000000000000"
GRAPH_APP: Final = "00000003-0000-0000-c000-000000000000"
_TWINS: Final = frozenset({"outlook.office365.com", "outlook.office.com"})


async def look(case: Case) -> Seen:
    """D08. Leaves the claims in the case."""
    claims = claims_of(case.token)
    tried = "the claims of the token, decoded here"
    if claims is None:
        return note(tried, "the token cannot be read, as those of personal accounts")
    case.claims = claims
    return _fault(case, claims, tried) or good(tried, _table(claims))


def claims_of(token: str) -> Mapping[str, Any] | None:
    """The claims of a JWT, unverified; None when it is none."""
    pieces = token.split(".")
    if len(pieces) != 3:
        return None
    try:
        padded = pieces[1] + "=" * (-len(pieces[1]) % 4)
        claims = json.loads(base64.urlsafe_b64decode(padded))
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None


def permissions(claims: Mapping[str, Any]) -> frozenset[str]:
    """`scp` of a user, `roles` of an app."""
    roles = claims.get("roles")
    listed = [str(each) for each in roles] if isinstance(roles, list) else []
    return frozenset([*str(claims.get("scp") or "").split(), *listed])


def _fault(case: Case, claims: Mapping[str, Any], tried: str) -> Seen | None:
    """The first thing that is wrong with a token."""
    return (
        _audience(case, claims, tried)
        or _identity(case, claims, tried)
        or _permission(case, claims, tried)
        or _time(case, claims, tried)
    )


def _audience(case: Case, claims: Mapping[str, Any], tried: str) -> Seen | None:
    cloud = case.cloud
    graph = {GRAPH_APP, urlsplit(cloud.graph).hostname or "graph.microsoft.com"}
    graph.add("graph.microsoft.com")
    mail = {EXCHANGE_APP, *_hosts(cloud.app_scope("smtp"), cloud.person_scope("smtp"))}
    mail |= _TWINS if mail & _TWINS else set()
    stated = str(claims.get("aud") or "")
    found = urlsplit(stated).hostname or stated
    if found in (graph if case.is_graph else mail):
        return None
    if found in graph or found in mail:
        service = "Graph" if found in graph else "Exchange Online"
        what = f"The token is for {service}."
    else:
        what = f"The token is for {stated or 'nobody'}, which is not Exchange Online."
    is_app = case.mailbox.flow in APP_FLOWS
    exit = case.mailbox.exit
    scope = cloud.app_scope(exit) if is_app else cloud.person_scope(exit)
    diagnosis = Diagnosis(
        "token-audience",
        what,
        f'It was asked for with the scope "{scope}"; a token opens one service only.',
        "scope must be https://outlook.office365.com/.default (user_scope:"
        " https://outlook.office.com/SMTP.Send), world-wide.",
        "operator",
    )
    fix = Remedy(
        diagnosis.why, f"In m365gw.toml: [cloud.{cloud.name}] scope", "", "operator", AT_ONCE
    )
    return bad(tried, _table(claims), diagnosis, fix)


def _hosts(*scopes: str) -> set[str]:
    return {urlsplit(scope).hostname or "" for scope in scopes} - {""}


def _identity(case: Case, claims: Mapping[str, Any], tried: str) -> Seen | None:
    """Tenant, app and user, as far as the configuration names them the same way."""
    mailbox = case.mailbox
    wanted = [("appid", mailbox.client_id, "app")] if mailbox.client_id else []
    if _is_guid(mailbox.tenant):
        wanted.append(("tid", mailbox.tenant, "tenant"))
    if mailbox.flow not in APP_FLOWS and "upn" in claims:
        wanted.append(("upn", mailbox.sign_in_as or mailbox.address, "user"))
    for claim, value, what in wanted:
        stated = str(claims.get(claim) or "")
        if stated and stated.casefold() != value.casefold():
            diagnosis = Diagnosis(
                f"token-{what}",
                f"The token is of {what} {stated}, not of {value}.",
                "The sign-in was done as somebody else, or the configuration names another one.",
                f"Sign in again: m365gw mailbox signin {mailbox.address}"
                if what == "user"
                else f"Correct {'client_id' if what == 'app' else 'tenant'} of the mailbox.",
                "mailbox-user" if what == "user" else "operator",
            )
            return bad(
                tried,
                _table(claims),
                diagnosis,
                Remedy(diagnosis.why, diagnosis.fix, "", diagnosis.who, AT_ONCE),
            )
    return None


def _permission(case: Case, claims: Mapping[str, Any], tried: str) -> Seen | None:
    """No roles at all are well: then rights come from a role in Exchange (RBAC), D09 shows it."""
    held = permissions(claims)
    is_app = case.mailbox.flow in APP_FLOWS
    if is_app:
        wanted = "Mail.Send" if case.is_graph else "SMTP.SendAsApp"
    else:
        wanted = "Mail.Send" if case.is_graph else "SMTP.Send"
    if wanted in held or (is_app and not held):
        return None
    diagnosis = Diagnosis(
        "token-permission",
        f"The token has the permissions {', '.join(sorted(held)) or 'none'}, but not {wanted}.",
        "The app was given another permission, or nobody consented to this one.",
        f"Give the app {wanted} and grant admin consent.",
        "entra-admin",
    )
    steps = SMTP_PERMISSION if is_app and not case.is_graph else CONSENT
    fix = remedy(diagnosis.why, "entra-admin", steps, case.names)
    return bad(tried, _table(claims), diagnosis, fix)


def _time(case: Case, claims: Mapping[str, Any], tried: str) -> Seen | None:
    """Its times are Entra's. A token that was kept is older than now, and never newer."""
    begins, ends = claims.get("nbf"), claims.get("exp")
    now = case.tools.reactor.seconds()
    if isinstance(begins, int | float) and begins - now > FAIL:
        return judged(tried, now - begins)
    if isinstance(ends, int | float) and now > ends:
        return judged(tried, now - ends)
    return None


def _is_guid(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4


def _table(claims: Mapping[str, Any]) -> str:
    """What may be shown of a token: who and for what, nothing that opens anything."""
    shown = {name: claims.get(name) for name in ("aud", "tid", "appid", "upn", "scp", "roles")}
    return ", ".join(
        f"{name} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in shown.items()
        if value
    )
