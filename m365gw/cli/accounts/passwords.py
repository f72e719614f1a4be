"""`m365gw client passwd`: one more password for a login, or one less.

The passwords a login has stay good beside a new one, so a device is changed without haste: make
one, set the device, and take the old one away when it is used no more.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import click

from m365gw.cli.accounts import options
from m365gw.cli.accounts.as_file import table
from m365gw.cli.accounts.names import LOGIN, found
from m365gw.cli.main import Invocation
from m365gw.cli.registry import registry
from m365gw.cli.words import printed

is_chosen = click.option("--choose", is_flag=True, help="Ask for a password instead of making one.")


@click.command(short_help="Make one more password for a login, or take one away.")
@click.argument("login", type=LOGIN)
@is_chosen
@click.option("--label", default="", help="What it is called in listings and logs.")
@click.option(
    "--expires", type=click.DateTime(["%Y-%m-%d"]), help="The last day it is good, by UTC."
)
@options.networks
@click.option(
    "--remove", "removed", metavar="PASSWORD", help="Take this one away: its label, or its id."
)
@options.is_sure
@options.is_printed
@options.as_json
@click.pass_obj
def passwd(
    invocation: Invocation,
    login: str,
    choose: bool,
    label: str,
    expires: datetime | None,
    networks: tuple[str, ...],
    removed: str | None,
    is_sure: bool,
    is_printed: bool,
    as_json: bool,
) -> None:
    """Make one more password for LOGIN; those it has stay good beside it.

    It is shown once and kept nowhere. A made one is strong and quick to check; a chosen one is
    kept as argon2id, which takes the gateway longer for every login.
    """
    asked = registry(invocation)
    row = found(asked, "client", login)
    if removed is not None:
        options.check_not_locked(row, "client", login)
        _remove(asked, login, removed, is_sure, as_json)
        return
    if not is_printed:
        options.check_not_locked(row, "client", login)
    password, stored = new_password(choose)
    values = {
        "hash": stored,
        "label": label,
        "created": time.strftime("%Y-%m-%d", time.gmtime()),
        "expires": expires and expires.date().isoformat(),
        "networks": list(filter(None, networks)),
    }
    if is_printed:
        if row["place"]:
            click.echo(
                f"Paste this at the end of the [[client]] table at {row['place']}.", err=True
            )
        _show(login, password)
        days = {"created": datetime.now(UTC).date(), "expires": expires and expires.date()}
        printed(table("[[client.password]]", values | days))
        return
    body = {name: value for name, value in values.items() if value}
    said = asked.post("/clients/passwords/add", {"login": login, "values": body})
    if as_json:
        click.echo(json.dumps(said | {"password": password}))
        return
    click.echo(f"{login} has one more password{asked.since}; the others stay good.")
    _show(login, password)


def new_password(choose: bool) -> tuple[str, str]:
    """A password that is made, or chosen: what is shown of it ("" for nothing), and its hash."""
    from m365gw.directory import passwords

    if not choose:
        return passwords.generate()
    try:
        chosen = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    except click.Abort:
        raise click.UsageError("Nobody chose a password.") from None
    return "", passwords.hash_chosen(chosen)


def _remove(asked: Any, login: str, password: str, is_sure: bool, as_json: bool) -> None:
    options.confirmed(f"Take the password {password} of {login} away?", is_sure)
    said = asked.post("/clients/passwords/remove", {"login": login, "password": password})
    words = f"The password {password} of {login} is good no more{asked.since}."
    click.echo(json.dumps(said) if as_json else words)


def _show(login: str, password: str) -> None:
    if password:
        click.echo(f"Password for {login}, shown this once:  {password}\n", err=True)
