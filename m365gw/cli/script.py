"""`m365gw script`: the PowerShell that sets the tenant up, with names and ids filled in."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any, NoReturn

import click

from m365gw.cli.completion import names
from m365gw.cli.main import Invocation
from m365gw.microsoft.setup_script.plan import ENVIRONMENTS, MODES, Plan
from m365gw.microsoft.setup_script.script import render, render_undo

_NOBODY = "00000000-0000-0000-0000-000000000000"  # of the sample file


@click.group()
def script() -> None:
    """Scripts for the administrators of the tenant."""


@script.command()
@click.option("--mode", type=click.Choice(MODES), help="Default: the flow of the mailboxes.")
@click.option(
    "--mailbox",
    "addresses",
    multiple=True,
    metavar="ADDRESS",
    shell_complete=names("mailbox"),
    help="May be repeated.",
)
@click.option("--undo", is_flag=True, help="The script that takes it all back.")
@click.option("--what-if", is_flag=True, help="A script that only shows what it would do.")
@click.pass_obj
def entra(
    invocation: Invocation, mode: Any, addresses: tuple[str, ...], undo: bool, what_if: bool
) -> None:
    """Print the PowerShell that sets the tenant up for mailboxes.

    It registers the app, gives it its credential and the right to send as these mailboxes and no
    others, switches SMTP AUTH on for them, verifies it and prints what m365gw has to know. It is
    safe to run again, and every step asks -WhatIf. Without --mailbox it is for all mailboxes of
    the configuration that sign in this way. Save it as a file, then: pwsh ./set-up.ps1 -WhatIf
    """
    settings = _settings(invocation, addresses)
    chosen, unknown = _chosen(settings, addresses, mode)
    try:
        plan = _plan(settings, chosen, unknown, mode, what_if)
        text = render_undo(plan) if undo else render(plan)
    except ValueError as problem:
        _end(f"No script can be written: {problem}")
    click.echo(text, nl=False)


@script.command()
@click.option(
    "--mailbox",
    "address",
    metavar="ADDRESS",
    shell_complete=names("mailbox"),
    help="If there are several.",
)
@click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="IP",
    help="For flow address: the public IPv4 address the gateway comes from. May be repeated.",
)
@click.option("--undo", is_flag=True, help="The script that takes it all back.")
@click.option("--what-if", is_flag=True, help="A script that only shows what it would do.")
@click.pass_obj
def connector(
    invocation: Invocation,
    address: str | None,
    addresses: tuple[str, ...],
    undo: bool,
    what_if: bool,
) -> None:
    """Print the PowerShell that makes the inbound connector for a mailbox of exit connector.

    The connector knows the gateway by the name in the certificate of that mailbox, or by its
    address. The domains it sends as are checked first. It is safe to run again, and every step asks
    -WhatIf. Save it as a file, then: pwsh ./connector.ps1 -WhatIf
    """
    from m365gw.microsoft.setup_script import connector as scripts

    try:
        mailbox = _by_connector(invocation, address)
        plan = scripts.ConnectorPlan(
            domains=(mailbox.address.rpartition("@")[2].lower(),),
            certificate_name=_certificate_name(mailbox) if mailbox.flow == "certificate" else "",
            addresses=addresses,
            cloud=mailbox.cloud if mailbox.cloud in ENVIRONMENTS else "worldwide",
            what_if=what_if,
        )
        write = scripts.render_connector_undo if undo else scripts.render_connector
        click.echo(write(plan), nl=False)
    except ValueError as problem:
        _end(f"No script can be written: {problem}")


def _by_connector(invocation: Invocation, address: str | None) -> Any:
    """The one mailbox that is meant. Raises ValueError."""
    settings = _settings(invocation, ())
    found = [one for one in settings.mailbox if one.exit == "connector"]
    if address:
        found = [one for one in found if one.address.casefold() == address.casefold()]
    if len(found) != 1:
        known = ", ".join(one.address for one in found)
        none = 'no such mailbox has exit = "connector"'
        raise ValueError(f"name one with --mailbox: {known}" if known else none)
    return found[0]


def _certificate_name(mailbox: Any) -> str:
    """The first name in the certificate a mailbox shows. Raises ValueError."""
    from m365gw.relay.exit.proof import names_shown, shown_by
    from m365gw.relay.tokens.failures import TokenUnavailable

    try:
        return names_shown(shown_by(mailbox))[0]
    except TokenUnavailable as problem:
        raise ValueError(f"{problem.diagnosis.what} {problem.diagnosis.why}") from None


def _settings(invocation: Invocation, addresses: tuple[str, ...]) -> Any:
    """The settings, with the entries made beside them; None where there are none yet.

    Then the mailboxes must be named.
    """
    from m365gw.cli.stopped import Stopped
    from m365gw.config.load import load
    from m365gw.config.problems import ConfigError
    from m365gw.directory.database import DirectoryError
    from m365gw.directory.state_dir import NotOurs
    from m365gw.directory.vault import VaultError

    try:
        invocation.loaded = load(invocation.config)
        return Stopped(invocation).settings
    except (DirectoryError, NotOurs, VaultError, OSError) as problem:
        click.echo(f"# Without the mailboxes of the directory: {problem}", err=True)
        return invocation.settings
    except ConfigError as problem:
        if not addresses:
            _end(
                f"{problem}\nName the mailbox (--mailbox ADDRESS), then no configuration is needed."
            )
        click.echo("# Without the configuration, which cannot be read.", err=True)
        return None


def _chosen(settings: Any, addresses: tuple[str, ...], mode: str | None) -> tuple[list[Any], Any]:
    """The configured mailboxes that are meant, and addresses that are not configured."""
    configured = {one.address.casefold(): one for one in settings.mailbox} if settings else {}
    if addresses:
        found = [configured.get(address.casefold()) for address in addresses]
        unknown = [each for each, one in zip(addresses, found, strict=True) if one is None]
        return [one for one in found if one is not None], unknown
    signing_in = [one for one in configured.values() if one.has_token]
    meant = [one for one in signing_in if mode in (None, one.flow)]
    if not meant:
        _end("No mailbox of the configuration signs in this way. Name one: --mailbox ADDRESS")
    return meant, []


def _plan(settings: Any, chosen: list[Any], unknown: list[str], mode: Any, what_if: bool) -> Plan:
    """One app for all of them. Raises ValueError."""
    if any(not one.has_token for one in chosen):
        raise ValueError("a connector has no app. Its script: m365gw script connector")
    parts = {(one.tenant.lower(), one.client_id.lower(), one.cloud, one.exit) for one in chosen}
    flows = {one.flow for one in chosen}
    if len(parts) > 1 or (mode is None and len(flows) > 1):
        several = ", ".join(one.address for one in chosen)
        raise ValueError(f"{several} differ in flow, tenant, app, cloud or exit; name some.")
    mode = mode or next(iter(flows), "certificate")
    if mode not in MODES:
        raise ValueError(f'there is no script for flow "{mode}"; name a --mode.')
    first = chosen[0] if chosen else None
    cloud = first.cloud if first else "worldwide"
    if cloud not in ENVIRONMENTS:
        click.echo(
            f'# "{cloud}" is no cloud of Microsoft; this is for the world-wide one.', err=True
        )
        cloud = "worldwide"
    client_id = first.client_id if first else ""
    web = getattr(settings, "web", None)
    public_url = getattr(web, "public_url", "") if mode == "web" else ""
    return Plan(
        mode=mode,
        mailboxes=(*(one.address for one in chosen), *unknown),
        tenant=first.tenant if first else unknown[0].rpartition("@")[2],
        client_id="" if client_id == _NOBODY else client_id,
        exit="graph" if first and first.exit == "graph" else "smtp",
        cloud=cloud,
        certificate=_certificate(first) if first and mode == "certificate" else "",
        redirect_uri=f"{public_url.rstrip('/')}/auth/callback" if public_url else "",
        what_if=what_if,
    )


def _certificate(mailbox: Any) -> str:
    """The public certificate of a mailbox, base64 of its DER; never more of the file than that."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    if not (mailbox.certificate or mailbox.certificate_file):
        return ""
    try:
        text = mailbox.certificate.encode() or Path(mailbox.certificate_file).read_bytes()
        block = re.search(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", text, re.S)
        certificate = x509.load_pem_x509_certificate(block[0] if block else b"")
    except (OSError, ValueError) as problem:
        kind = getattr(problem, "strerror", None) or "holds no certificate"
        place = mailbox.certificate_file or f"the certificate of {mailbox.address}"
        raise ValueError(f"{place}: {kind}.") from None
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def _end(words: str) -> NoReturn:
    click.echo(words, err=True)
    raise click.exceptions.Exit(1)
