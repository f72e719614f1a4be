"""`m365gw listener`: where mail comes in, made beside the configuration.

A port that cannot be had is refused before anything is changed, where the service runs.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import click

from m365gw.cli.accounts import options
from m365gw.cli.accounts.made_in import made_in_column
from m365gw.cli.accounts.names import LISTENER, found
from m365gw.cli.main import Invocation
from m365gw.cli.registry import registry
from m365gw.cli.words import counted, escaped, printed

_ROW = "%-14s  %-34s  %-9s  %-8s  %-24s  %s"
_LISTS = ("networks", "proxy_from", "quirks", "quirk_networks", "repair")


def _with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options of a listener, and as `values` those that were given."""

    @functools.wraps(command)
    def run(*arguments: Any, **said: Any) -> Any:
        values = options.given(**{name: said.pop(name) for name in ("tls", "auth", *_LISTS)})
        return command(*arguments, values=values, **said)

    wrapped: Callable[..., Any] = run
    for name in reversed(_LISTS):
        flag = f"--{name.replace('_', '-').removesuffix('s')}"
        words = f"May be repeated; see {name} in docs/configuration.md."
        wrapped = click.option(flag, name, multiple=True, metavar="VALUE", help=words)(wrapped)
    auth = click.Choice(["off", "offer", "require"])
    wrapped = click.option("--auth", type=auth, help="Whether a login is asked for.")(wrapped)
    tls = click.Choice(["none", "starttls", "require", "implicit", "auto"])
    return click.option("--tls", type=tls, help="How TLS begins.")(wrapped)


@click.group()
def listener() -> None:
    """Where mail comes in."""


@listener.command(short_help="Take mail at one more place.")
@click.argument("name")
@click.argument("endpoint")
@_with_settings
@options.as_json
@click.pass_obj
def add(
    invocation: Invocation, name: str, endpoint: str, values: dict[str, Any], as_json: bool
) -> None:
    """Take mail at ENDPOINT ("tcp:587", "tcp:25:interface=10.0.0.1") as the listener NAME."""
    asked = registry(invocation)
    said = asked.post("/listeners/add", {"values": {"name": name, "endpoint": endpoint, **values}})
    click.echo(json.dumps(said) if as_json else f"{name} takes mail at {endpoint}{asked.since}.")


@listener.command("list")
@options.as_json
@click.pass_obj
def list_(invocation: Invocation, as_json: bool) -> None:
    """Show every listener, and where it was made. With --json one object a line."""
    rows = registry(invocation).get("/listeners")
    if as_json:
        printed(json.dumps(row, ensure_ascii=False) for row in rows)
        return
    if rows:
        click.echo(_ROW % ("NAME", "ENDPOINT", "TLS", "AUTH", "TRUSTED NETWORKS", "MADE IN"))
    for row in rows:
        networks = escaped(", ".join(row["networks"])) or "-"
        how = (row["name"], row["endpoint"], row["tls"], row["auth"])
        printed([_ROW % (*map(escaped, how), networks, escaped(made_in_column(row)))])
    click.echo(f"{counted(len(rows), 'listener')}." if rows else "No listeners: no mail comes in.")


@listener.command(short_help="Change a listener.")
@click.argument("name", type=LISTENER)
@click.option("--endpoint", help="Another place.")
@_with_settings
@options.as_json
@click.pass_obj
def change(
    invocation: Invocation,
    name: str,
    endpoint: str | None,
    values: dict[str, Any],
    as_json: bool,
) -> None:
    """Change NAME; what is not named stays. Lists are given whole, "" clears one.

    Who is connected there is asked to come again as soon as no message is in hand.
    """
    values |= options.given(endpoint=endpoint)
    if not values:
        raise click.UsageError("Say what to change; m365gw listener change --help names it.")
    asked = registry(invocation)
    options.check_not_locked(found(asked, "listener", name), "listener", name)
    said = asked.post("/listeners/change", {"name": name, "values": values})
    click.echo(json.dumps(said) if as_json else f"{name} was changed{asked.since}.")


@listener.command(short_help="Take mail there no more.")
@click.argument("name", type=LISTENER)
@options.is_sure
@options.as_json
@click.pass_obj
def remove(invocation: Invocation, name: str, is_sure: bool, as_json: bool) -> None:
    """Remove NAME: no mail comes in there any more."""
    asked = registry(invocation)
    options.check_not_locked(row := found(asked, "listener", name), "listener", name)
    options.confirmed(f"Remove listener {name} at {row['endpoint']}?", is_sure)
    said = asked.post("/listeners/remove", {"name": name})
    click.echo(json.dumps(said) if as_json else f"{name} takes no more mail{asked.since}.")
