"""`m365gw mailbox`: Microsoft 365 mailboxes mail leaves by.

Those made here lie in the directory and hold at once; those of the configuration file are shown
with their place, and stay their owner's. Secrets go to the vault, sealed, and are shown nowhere.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping
from typing import Any

import click

from m365gw.cli.accounts import options
from m365gw.cli.accounts.as_file import table
from m365gw.cli.accounts.credentials import Credential, with_credential
from m365gw.cli.accounts.mailbox_page import lines, page
from m365gw.cli.accounts.names import ADDRESS, found
from m365gw.cli.accounts.states import pause, resume, retry
from m365gw.cli.mailbox_signin import signin
from m365gw.cli.main import Invocation
from m365gw.cli.registry import Registry, registry
from m365gw.cli.words import printed

FLOWS = ("certificate", "secret", "device", "web", "federated", "managed-identity")
_BY_A_PERSON = ("device", "web")

_SETTINGS = (
    click.option("--flow", type=click.Choice(FLOWS), help="How it signs in."),
    click.option("--tenant", metavar="TENANT", help="Tenant id, or a domain of the tenant."),
    click.option("--client-id", metavar="ID", help="Application (client) id in Entra."),
    click.option("--cloud", metavar="NAME", help="worldwide, gcc-high, dod, china, or your own."),
    click.option("--exit", "exit_", metavar="NAME", help="How its mail leaves: smtp, graph."),
    click.option("--fallback", metavar="NAME", help="The exit taken where the first is shut."),
)


def with_settings(command: options.Command) -> options.Command:
    """Gives a command the options of a mailbox."""
    for option in reversed(_SETTINGS):
        command = option(command)
    return command


@click.group()
def mailbox() -> None:
    """Microsoft 365 mailboxes and their sign-in."""


for each in (signin, pause, resume, retry):
    mailbox.add_command(each)


@mailbox.command(short_help="Make a mailbox that mail may leave by.")
@click.argument("address", required=False)
@with_settings
@with_credential
@options.is_printed
@options.as_json
@click.pass_obj
def add(
    invocation: Invocation,
    address: str | None,
    flow: str | None,
    tenant: str | None,
    client_id: str | None,
    cloud: str | None,
    exit_: str | None,
    fallback: str | None,
    credential: Credential,
    is_printed: bool,
    as_json: bool,
) -> None:
    """Make the mailbox ADDRESS; what is not said is asked for.

    A client secret is asked for without echo, or read from a file. With --generate a key and a
    certificate are made: the key is kept sealed, the certificate is shown for the upload to Entra.
    """
    address = options.asked(address, "the argument ADDRESS", "Address of the mailbox")
    flow = options.asked(flow, "--flow", "How it signs in", type=click.Choice(FLOWS))
    domain = address.rpartition("@")[2]
    tenant = options.asked(tenant, "--tenant", "Tenant id or domain", default=domain)
    if flow == "managed-identity":
        client_id = client_id or ""  # that of the machine, where none is named
    client_id = options.asked(client_id, "--client-id", "Application (client) id")
    values = {"address": address, "flow": flow, "tenant": tenant, "client_id": client_id}
    values |= options.given(cloud=cloud, exit=exit_, fallback=fallback)
    if is_printed:
        printed(table("[[mailbox]]", values | credential.as_file(flow)))
        return
    values |= credential.values(flow, address)
    asked = registry(invocation)
    said = asked.post("/mailboxes/add", {"values": values})
    _tell(said, f"{address} was made{asked.since}.", credential, as_json)
    if not as_json and flow in _BY_A_PERSON:
        click.echo(f"It needs a sign-in: m365gw mailbox signin {address}")


@mailbox.command("list")
@options.as_json
@click.pass_obj
def list_(invocation: Invocation, as_json: bool) -> None:
    """Show every mailbox: whether it may send, what it has used up, and what it needs.

    With --json one object a line, a line a mailbox. Without a running service only what was set.
    """
    asked = registry(invocation)
    rows = asked.get("/mailboxes")
    if as_json:
        printed(json.dumps(row, ensure_ascii=False) for row in rows)
        return
    printed(lines(rows, time.time()))
    _say_stopped(asked)


@mailbox.command()
@click.argument("address", type=ADDRESS)
@options.as_json
@click.pass_obj
def show(invocation: Invocation, address: str, as_json: bool) -> None:
    """Show all that is known of the mailbox ADDRESS."""
    asked = registry(invocation)
    row = found(asked, "mailbox", address)
    if as_json:
        printed([json.dumps(row, ensure_ascii=False)])
        return
    printed(page(row, time.time()))
    _say_stopped(asked)


@mailbox.command(short_help="Change how a mailbox signs in or sends.")
@click.argument("address", type=ADDRESS)
@with_settings
@with_credential
@options.as_json
@click.pass_obj
def change(
    invocation: Invocation,
    address: str,
    flow: str | None,
    tenant: str | None,
    client_id: str | None,
    cloud: str | None,
    exit_: str | None,
    fallback: str | None,
    credential: Credential,
    as_json: bool,
) -> None:
    """Change the mailbox ADDRESS; what is not named stays as it is.

    A new client secret or certificate takes the place of the old one. Its mail is tried at once.
    """
    asked = registry(invocation)
    row = found(asked, "mailbox", address)
    options.check_not_locked(row, "mailbox", address)
    values = options.given(
        flow=flow,
        tenant=tenant,
        client_id=client_id,
        cloud=cloud,
        exit=exit_,
        fallback=fallback,
    )
    is_other_flow = flow not in (None, row["flow"])
    if is_other_flow or credential.is_given:
        values |= credential.values(flow or row["flow"], row["address"])
    if not values:
        raise click.UsageError("Say what to change; m365gw mailbox change --help names it.")
    said = asked.post("/mailboxes/change", {"address": row["address"], "values": values})
    _tell(said, f"{row['address']} was changed{asked.since}.", credential, as_json)


@mailbox.command(short_help="Remove a mailbox; its mail is kept.")
@click.argument("address", type=ADDRESS)
@options.is_sure
@options.is_dry
@options.as_json
@click.pass_obj
def remove(
    invocation: Invocation, address: str, is_sure: bool, is_dry: bool, as_json: bool
) -> None:
    """Remove the mailbox ADDRESS with its secrets and its sign-in.

    Mail that waits for it is kept, and goes when it is made again. While a client or a network
    sends by it, it stays: change those first.
    """
    asked = registry(invocation)
    row = found(asked, "mailbox", address)
    options.check_not_locked(row, "mailbox", address)
    _check_not_used(asked, row["address"])
    if is_dry:
        printed(page(row, time.time()))
        return
    waiting = f" {row['waits']} message(s) wait for it, and are kept." if row.get("waits") else ""
    options.confirmed(f"Remove {row['address']} with its sign-in?{waiting}", is_sure)
    said = asked.post("/mailboxes/remove", {"address": row["address"]})
    _tell(said, f"{row['address']} was removed{asked.since}.", None, as_json)


def _tell(
    said: Mapping[str, Any], words: str, credential: Credential | None, as_json: bool
) -> None:
    made = credential.made if credential else None
    if as_json:
        click.echo(json.dumps({**said, "certificate": made}))
        return
    click.echo(words)
    if made and credential:
        printed(credential.how_to_upload())


def _check_not_used(asked: Registry, address: str) -> None:
    """End the command while rules have mail leave by this mailbox."""
    users = [
        f"m365gw {table} change {shlex.quote(row[key])} --mailbox ANOTHER"
        for table, key in (("client", "login"), ("network", "cidr"))
        for row in asked.get(f"/{table}s")
        if row["mailbox"].casefold() == address.casefold()
    ]
    if users:
        more = "" if len(users) <= 5 else f"\nand {len(users) - 5} more"
        listed = "\n".join(users[:5])
        options.end(1, f"Mail of others leaves by {address}. Change those first:\n{listed}{more}")


def _say_stopped(asked: Registry) -> None:
    if not asked.is_running:
        click.echo("The service does not run: this is what was set, nothing more.", err=True)
