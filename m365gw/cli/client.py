"""`m365gw client`: SMTP logins.

Logins live in the configuration file, which is its owner's: what is new is printed for pasting,
what is old is named with its place. No command writes there.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, date, datetime
from typing import Any, NoReturn

import click

from m365gw.cli.client_list import lines, rows
from m365gw.cli.main import Invocation
from m365gw.config.client_checks import LOGIN
from m365gw.config.settings import Settings
from m365gw.config.structure import place_of
from m365gw.directory import passwords
from m365gw.directory.database import Database, DirectoryError
from m365gw.directory.last_use import LastUse, read_uses
from m365gw.directory.state_dir import NotOurs, claim

is_printed = click.option("--print", "is_printed", is_flag=True, help="Print a table to paste.")
is_chosen = click.option("--choose", is_flag=True, help="Ask for a password instead of making one.")
networks = click.option(
    "--network", "networks", multiple=True, help='Only from this network: "10.1.0.0/16".'
)


@click.group()
def client() -> None:
    """SMTP logins for printers and programs."""


@client.command(short_help="Make a login and print its table.")
@click.argument("login")
@is_printed
@is_chosen
@click.option("--sender", "senders", multiple=True, help='May send as this: "*@example.com".')
@click.option("--mailbox", default="", help="The Microsoft 365 mailbox its mail leaves by.")
@networks
@click.option("--realm", "realms", multiple=True, help="What the device puts around its login.")
def add(
    login: str,
    is_printed: bool,
    choose: bool,
    senders: tuple[str, ...],
    mailbox: str,
    networks: tuple[str, ...],
    realms: tuple[str, ...],
) -> None:
    """Make a password for LOGIN and print the table for the configuration file.

    The password is shown once and kept nowhere. A made one is strong and quick to check; a chosen
    one is kept as argon2id, which takes the gateway longer for every login.
    """
    if not is_printed:
        raise click.UsageError("Logins live in the configuration file: use --print and paste it.")
    if not LOGIN.fullmatch(login):
        raise click.BadParameter(f"{login!r} is not a login name: no spaces, 256 letters at most.")
    _print(
        "[[client]]",
        login=login,
        password_hash=_new_password(login, choose),
        senders=list(senders or ("someone@example.com",)),
        mailbox=mailbox or "relay@example.com",
        networks=list(networks),
        realms=list(realms),
    )


@client.command(short_help="Make one more password for a login and print its table.")
@click.argument("login")
@is_printed
@is_chosen
@click.option("--label", default="", help="What it is called in listings and logs.")
@click.option(
    "--expires", type=click.DateTime(["%Y-%m-%d"]), help="The last day it is good, by UTC."
)
@networks
@click.pass_obj
def passwd(
    invocation: Invocation,
    login: str,
    is_printed: bool,
    choose: bool,
    label: str,
    expires: datetime | None,
    networks: tuple[str, ...],
) -> None:
    """Make one more password for LOGIN and print the table for the configuration file.

    The passwords a login has stay good beside it. So: paste the new one, reload, change the
    device, and take out the old one once `m365gw client list` shows that it is used no more.
    """
    if not is_printed:
        raise click.UsageError("Passwords live in the configuration file: use --print and paste.")
    place = _place(invocation, login)
    click.echo(f"Paste this at the end of the [[client]] table at {place}.", err=True)
    _print(
        "[[client.password]]",
        hash=_new_password(login, choose),
        label=label,
        created=datetime.now(UTC).date(),
        expires=expires.date() if expires else None,
        networks=list(networks),
    )


@client.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, a line a login.")
@click.pass_obj
def list_(invocation: Invocation, as_json: bool) -> None:
    """Show every login with its passwords: until when they are good, when they were last used.

    The service writes the last use down once a minute.
    """
    settings = invocation.settings
    uses = _last_use(settings)
    found = list(rows(settings.client, uses, datetime.now(UTC).date()))
    for row in found if as_json else ():
        click.echo(json.dumps(row, ensure_ascii=False))
    for line in () if as_json else lines(found, time.time()):
        click.echo(line)


@client.command()
@click.argument("login")
@click.pass_obj
def remove(invocation: Invocation, login: str) -> None:
    """Say what to take out of the configuration so that LOGIN may no longer log in.

    Exits with 1, as the login is still there.
    """
    place = _place(invocation, login)
    _end(
        f"{login} stands in the configuration, which only you change. Take out its [[client]] "
        f"table with all its [[client.password]] tables, at {place}; then m365gw reload."
    )


def _last_use(settings: Settings) -> LastUse:
    """When passwords were last used; nothing, and words, where that cannot be read."""
    try:
        claim(settings.state_dir)
        return LastUse(read_uses(Database(settings.directory.url, settings.state_dir)))
    except (NotOurs, DirectoryError) as problem:
        click.echo(f"When passwords were last used cannot be read: {problem}", err=True)
        return LastUse()


def _place(invocation: Invocation, login: str) -> str:
    """Where a client stands: file and line."""
    clients = [each.login for each in invocation.settings.client]
    if login not in clients:
        known = ", ".join(clients) or "none"
        _end(
            f"There is no client {login} in the configuration. Known: {known}. "
            f"To make it: m365gw client add --print {login}"
        )
    return place_of(invocation.loaded.tree, ("client", clients.index(login)))


def _new_password(login: str, choose: bool) -> str:
    """The hash of a password that is made, and shown once, or chosen."""
    if choose:
        chosen = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return passwords.hash_chosen(chosen)
    password, stored = passwords.generate()
    click.echo(f"Password for {login}, shown this once:  {password}\n", err=True)
    return stored


def _print(head: str, **table: Any) -> None:
    """A table as the configuration has it; what is empty is left out."""
    click.echo(head)
    for key, value in table.items():
        if value:
            # Texts and lists of texts are written alike in TOML and JSON, and days as they are.
            said = value if isinstance(value, date) else json.dumps(value, ensure_ascii=False)
            click.echo(f"{key} = {said}")


def _end(words: str) -> NoReturn:
    click.echo(words, err=True)
    raise click.exceptions.Exit(1)
