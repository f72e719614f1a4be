"""`m365gw mailbox`: Microsoft 365 mailboxes mail leaves by.

Those made here lie in the directory and hold at once; those of the configuration file are shown
with their place, and stay their owner's. Secrets go to the vault, sealed, and are shown nowhere.
"""

from __future__ import annotations

import functools
import json
import shlex
import time
from collections.abc import Mapping
from typing import Any

import click

from m365gw.cli.accounts import options
from m365gw.cli.accounts.as_file import table
from m365gw.cli.accounts.credentials import Credential, save, with_credential
from m365gw.cli.accounts.mailbox_page import lines, page
from m365gw.cli.accounts.names import ADDRESS, found
from m365gw.cli.accounts.renewal import renew
from m365gw.cli.accounts.signin import signin
from m365gw.cli.accounts.states import pause, resume, retry
from m365gw.cli.main import Invocation
from m365gw.cli.registry import Registry, registry
from m365gw.cli.words import printed

FLOWS = ("certificate", "secret", "device", "web", "federated", "managed-identity", "address")
LOOKED_THROUGH = 500  # incidents, for those of one mailbox
MOST_INCIDENTS = 5
_BY_A_PERSON = ("device", "web")
NO_CA = (
    "A connector takes certificates of public authorities only, so none can be made here. Get one,"
    " then: --certificate FILE (PEM: key, certificate and chain)."
)

_SETTINGS = {
    "flow": click.option("--flow", type=click.Choice(FLOWS), help="How it signs in."),
    "tenant": click.option("--tenant", metavar="TENANT", help="Tenant id, or one of its domains."),
    "client_id": click.option("--client-id", metavar="ID", help="Application id in Entra."),
    "sign_in_as": click.option(
        "--sign-in-as", metavar="UPN", help="Who signs in, if that is not the address."
    ),
    "client_secret_expires": click.option(
        "--secret-expires",
        "client_secret_expires",
        metavar="DAY",
        help="The day the client secret ends, as Entra shows it: 2027-03-31.",
    ),
    "federated_token_file": click.option(
        "--token-file",
        "federated_token_file",
        type=click.Path(resolve_path=True),
        help="Token of a federated identity, read anew each time.",
    ),
    "cloud": click.option("--cloud", metavar="NAME", help="worldwide, gcc-high, dod, china, ..."),
    "exit": click.option(
        "--exit", metavar="NAME", help="How its mail leaves: smtp, graph, connector."
    ),
    "mx": click.option(
        "--mx", metavar="HOST", help="Exit connector: host of the tenant's MX record."
    ),
    "fallback": click.option("--fallback", metavar="NAME", help="The exit when that is shut."),
}


def with_settings(command: options.Command) -> options.Command:
    """Gives a command the options of a mailbox, and as `values` those that were given."""

    @functools.wraps(command)
    def run(*arguments: Any, **more: Any) -> Any:
        values = options.given(**{name: more.pop(name) for name in _SETTINGS})
        return command(*arguments, values=values, **more)

    wrapped: options.Command = run
    for option in reversed(_SETTINGS.values()):
        wrapped = option(wrapped)
    return wrapped


@click.group()
def mailbox() -> None:
    """Microsoft 365 mailboxes and their sign-in."""


for each in (signin, pause, resume, retry, renew):
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
    values: dict[str, Any],
    credential: Credential,
    is_printed: bool,
    as_json: bool,
) -> None:
    """Make the mailbox ADDRESS; what is not said is asked for.

    A client secret is asked for without echo, or read from a file. With --generate a key and a
    certificate are made: the key is kept sealed, the certificate is shown for the upload to Entra.
    """
    ask = options.asked
    address = ask(address, "the argument ADDRESS", "Address of the mailbox")
    flow = ask(values.get("flow"), "--flow", "How it signs in", type=click.Choice(FLOWS))
    domain = address.rpartition("@")[2]
    tenant = ask(values.get("tenant"), "--tenant", "Tenant id or domain", default=domain)
    values = {"address": address, **values, "flow": flow, "tenant": tenant}
    by_connector = values.get("exit") == "connector"
    if flow != "managed-identity" and not by_connector:  # there none means that of the machine
        question = "Application (client) id"
        values["client_id"] = ask(values.get("client_id"), "--client-id", question)
    if is_printed:
        printed(table("[[mailbox]]", values | credential.as_file(flow)))
        return
    if by_connector and credential.is_generated:
        options.end(64, NO_CA)
    values |= credential.values(flow, address)
    asked = registry(invocation)
    said = asked.post("/mailboxes/add", {"values": values})
    _tell(said, f"{address} was made{asked.since}.", credential, as_json)
    if not as_json and flow in _BY_A_PERSON:
        click.echo(f"It needs a sign-in: m365gw mailbox signin {address}")


@mailbox.command("list", short_help="Show every mailbox, and whether it may send.")
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
    if asked.is_running:
        said = asked.post("/incidents/list", {"all": True, "limit": LOOKED_THROUGH})
        own = [one for one in said["incidents"] if one["subject"].get("mailbox") == row["address"]]
        row["incidents"] = own[:MOST_INCIDENTS]
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
    values: dict[str, Any],
    credential: Credential,
    as_json: bool,
) -> None:
    """Change the mailbox ADDRESS; what is not named stays as it is.

    A new client secret or certificate takes the place of the old one; to have a new certificate
    beside the old one: m365gw mailbox renew. Its mail is tried at once.
    """
    asked = registry(invocation)
    row = found(asked, "mailbox", address)
    options.check_not_locked(row, "mailbox", address)
    flow = values.get("flow", row["flow"])
    if flow != row["flow"] or credential.is_given:
        values |= credential.values(flow, row["address"])
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
        if made and credential:
            save(made, credential.saved_as)
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
