"""`m365gw network`: networks whose machines may send without a login.

A network counts only on listeners that name it in `networks`, which is set in the configuration.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from m365gw.cli.accounts import options
from m365gw.cli.accounts.as_file import table
from m365gw.cli.accounts.client_list import permissions
from m365gw.cli.accounts.made_in import made_in, made_in_column
from m365gw.cli.accounts.names import CIDR, found, of_rule
from m365gw.cli.main import Invocation
from m365gw.cli.registry import Registry, registry
from m365gw.cli.words import counted, escaped, printed
from m365gw.edge.admission.admission import ip_network, trusts, wider_rules

_ROW = "%-20s  %-28s  %-32s  %s"


@click.group()
def network() -> None:
    """Networks that may send without a login."""


@network.command(short_help="Let a network send without a login.")
@click.argument("cidr", metavar="NETWORK")
@options.with_permissions
@options.is_printed
@options.as_json
@click.pass_obj
def add(
    invocation: Invocation, cidr: str, permissions: dict[str, Any], is_printed: bool, as_json: bool
) -> None:
    """Let the machines of NETWORK ("10.1.0.0/16", "10.1.2.3") send without a login.

    It counts on listeners that name it in `networks`, or a wider one around it.
    """
    asked = registry(invocation)
    if is_printed:
        examples = {"senders": ["*@example.com"], "mailbox": "relay@example.com"}
        printed(table("[[network]]", {"cidr": cidr, **examples, **permissions}))
        return
    values = {"cidr": cidr, **permissions, **of_rule(asked, permissions)}
    said = asked.post("/networks/add", {"values": values})
    click.echo(json.dumps(said) if as_json else _added(asked, cidr))


def _added(asked: Registry, cidr: str) -> str:
    listeners, network = asked.get("/listeners"), ip_network(cidr)
    trusting = [row["name"] for row in listeners if trusts(row["networks"], network)]
    if not trusting:
        return (
            f"{cidr} is kept, but no listener trusts it, so it may not send yet.\n"
            f"Let one do so: {_remedy(listeners, cidr)}. m365gw explain --ip shows who may."
        )
    return f"{cidr} may send at {escaped(', '.join(trusting))}{asked.since}."


def _remedy(listeners: Sequence[Mapping[str, Any]], cidr: str) -> str:
    """The commands that make a listener trust it; the list they give is whole."""
    commands = [
        f"m365gw listener change {escaped(row['name'])} "
        + " ".join(f"--network {escaped(each)}" for each in (*row["networks"], cidr))
        for row in listeners
        if row["origin"] == "directory"
    ]
    return ", or ".join([*commands, "add it to networks of a [[listener]] of the file"])


@network.command("list")
@options.as_json
@click.pass_obj
def list_(invocation: Invocation, as_json: bool) -> None:
    """Show every network, what it may send, and where it was made.

    With --json one object a line, a line a network.
    """
    rows = registry(invocation).get("/networks")
    if as_json:
        printed(json.dumps(row, ensure_ascii=False) for row in rows)
        return
    if rows:
        click.echo(_ROW % ("NETWORK", "MAILBOX", "SENDERS", "MADE IN"))
    for row in rows:
        senders = escaped(", ".join(row["senders"]))
        printed([_ROW % (row["cidr"], escaped(row["mailbox"]), senders, made_in_column(row))])
    click.echo(f"{counted(len(rows), 'network')}." if rows else "No networks.")


@network.command(short_help="Change what a network may send.")
@click.argument("cidr", metavar="NETWORK", type=CIDR)
@options.with_permissions
@options.as_json
@click.pass_obj
def change(invocation: Invocation, cidr: str, permissions: dict[str, Any], as_json: bool) -> None:
    """Change NETWORK; what is not named stays as it is.

    Lists are given whole, and an empty text ("") clears one.
    """
    if not permissions:
        raise click.UsageError("Say what to change; m365gw network change --help names it.")
    asked = registry(invocation)
    options.check_not_locked(found(asked, "network", cidr), "network", cidr)
    said = asked.post("/networks/change", {"cidr": cidr, "values": permissions})
    click.echo(json.dumps(said) if as_json else f"{cidr} was changed{asked.since}.")


@network.command(short_help="Let a network send no more without a login.")
@click.argument("cidr", metavar="NETWORK", type=CIDR)
@options.is_sure
@options.is_dry
@options.as_json
@click.pass_obj
def remove(invocation: Invocation, cidr: str, is_sure: bool, is_dry: bool, as_json: bool) -> None:
    """Remove NETWORK: its machines send no more without a login."""
    asked = registry(invocation)
    row = found(asked, "network", cidr)
    options.check_not_locked(row, "network", cidr)
    if is_dry:
        printed([f"Network         {cidr}", *permissions(row)])
        return
    options.confirmed(f"Remove network {cidr} (in {made_in(row)})?", is_sure)
    said = asked.post("/networks/remove", {"cidr": cidr})
    click.echo(json.dumps(said) if as_json else _removed(asked, cidr))


def _removed(asked: Registry, cidr: str) -> str:
    listeners, network = asked.get("/listeners"), ip_network(cidr)
    rules = [row["cidr"] for row in asked.get("/networks")]
    wider = wider_rules(network, rules, [row["networks"] for row in listeners])
    if wider:
        return f"{cidr} is removed. Its machines may send still, as {', '.join(wider)} does."
    said = f"{cidr} may send no more{asked.since}."
    naming = [row for row in listeners if cidr in row["networks"]]
    if not naming:
        return said
    names = escaped(", ".join(row["name"] for row in naming))
    return (
        f"{said}\n"
        f"It stands in networks of {names} still, where it lets nobody in without a rule.\n"
        f"Take it out: {'; '.join(_without(row, cidr) for row in naming)}."
    )


def _without(row: Mapping[str, Any], cidr: str) -> str:
    """The command after which a listener trusts it no more; the list it gives is whole."""
    if row["origin"] != "directory":
        return f"in {escaped(row['place'] or 'the configuration file')}"
    left = [each for each in row["networks"] if each != cidr] or ['""']
    return f"m365gw listener change {escaped(row['name'])} " + " ".join(
        f"--network {escaped(each)}" for each in left
    )
