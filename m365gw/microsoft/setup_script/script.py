"""From a plan to the text of a script.

The scripts are made of constant parts (`parts/*.ps1`), chosen by the plan. Values stand in one
place only, the assignments at the top, each as a literal that it cannot leave; no part has a value
put into it.

Pure, but for reading the parts. Failures: ValueError for a value that cannot stand in a script.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources

from m365gw.microsoft.powershell import array, literal
from m365gw.microsoft.setup_script.plan import Plan


def render(plan: Plan) -> str:
    """The script that sets the tenant up; running it again changes nothing more."""
    return assembled("head", _values(plan), _set_up(plan))


def render_undo(plan: Plan) -> str:
    """The script that takes back what `render`'s did."""
    return assembled("undo-head", _values(plan), _undo(plan))


def assembled(head: str, values: Mapping[str, str], parts: Iterable[str]) -> str:
    """A script of these parts. `values` are literals of PowerShell, by the name they are given."""
    lines = [f"${name} = {value}" for name, value in values.items()]
    top = "# What the gateway is configured for. Nothing below holds a value.\n" + "\n".join(lines)
    pieces = [_part(head), top, _part("begin"), *map(_part, parts)]
    return "\n".join(piece.rstrip("\n") + "\n" for piece in pieces)


def _set_up(plan: Plan) -> Iterator[str]:
    yield "connect"
    yield "app"
    yield f"credential-{plan.mode}"
    if plan.is_delegated:
        yield "consent"
    else:
        yield "service-principal"
        yield "rights-scoped" if plan.is_scoped else "rights-classic"
    if plan.exit == "smtp":
        yield "smtp-auth"
    if not plan.is_delegated:
        yield "verify"
    yield "print"


def _undo(plan: Plan) -> Iterator[str]:
    yield "connect"
    yield "undo-app"
    if not plan.is_delegated:
        yield "undo-rights-scoped" if plan.is_scoped else "undo-rights-classic"
    if plan.exit == "smtp":
        yield "undo-smtp-auth"
    yield "undo-credential"


def _values(plan: Plan) -> dict[str, str]:
    """The assignments: the only place where values of the configuration stand."""
    permission = {
        ("smtp", False): "SMTP.SendAsApp",
        ("smtp", True): "SMTP.Send",
        ("graph", False): "Mail.Send",
        ("graph", True): "Mail.Send",
    }[plan.exit, plan.is_delegated]
    return {
        "Mode": literal(plan.mode),
        "ExitBy": literal(plan.exit),
        "Cloud": literal(plan.cloud),
        "TenantId": literal(plan.tenant),
        "ClientId": literal(plan.client_id),
        "AppName": literal(plan.app_name),
        "Mailboxes": array(plan.mailboxes),
        "Permission": literal(permission),
        "RoleName": literal(f"Application {permission}"),
        "ScopeName": literal(f"{plan.app_name} mailboxes"),
        "AssignmentName": literal(f"{plan.app_name} {permission}"),
        "GraphEnvironment": literal(plan.environment.graph),
        "ExchangeEnvironment": literal(plan.environment.exchange),
        "CertificateBase64": literal(plan.certificate),
        "KnownRedirectUri": literal(plan.redirect_uri),
        # -WhatIf:$false does it in earnest all the same.
        "ShowFirst": f"${'true' if plan.what_if else 'false'}",
    }


@cache
def _part(name: str) -> str:
    return resources.files(__package__).joinpath("parts", f"{name}.ps1").read_text("utf-8")
