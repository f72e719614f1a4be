"""`m365gw client`: SMTP logins, and what each may send.

Those made here lie in the directory and hold at once; those of the configuration file are shown
with their place, and stay their owner's. `--print` gives the form of the file and changes nothing.
A password is shown once, when it is made, and kept as a hash only.
"""

from __future__ import annotations

import json
import time
from typing import Any

import click

from m365gw.cli.accounts import options
from m365gw.cli.accounts.as_file import table
from m365gw.cli.accounts.client_list import lines, page
from m365gw.cli.accounts.names import LOGIN, found, of_rule
from m365gw.cli.accounts.passwords import is_chosen, new_password, passwd
from m365gw.cli.main import Invocation
from m365gw.cli.registry import registry
from m365gw.cli.words import printed

realms = click.option(
    "--realm", "realms", multiple=True, help='What the device puts around its login; "*": anything.'
)


@click.group()
def client() -> None:
    """SMTP logins for printers and programs."""


client.add_command(passwd)


@client.command(short_help="Make a login with a password.")
@click.argument("login")
@options.with_permissions
@options.networks
@realms
@is_chosen
@click.option("--label", default="", help="What its password is called in listings and logs.")
@options.is_printed
@options.as_json
@click.pass_obj
def add(
    invocation: Invocation,
    login: str,
    permissions: dict[str, Any],
    networks: tuple[str, ...],
    realms: tuple[str, ...],
    choose: bool,
    label: str,
    is_printed: bool,
    as_json: bool,
) -> None:
    """Make LOGIN and a password for it, which is shown once and kept nowhere.

    It may log in at once when the service runs. What you leave out is asked for: the mailbox its
    mail leaves by, and the addresses it may send as.
    """
    from m365gw.config.checks.clients import LOGIN as GRAMMAR

    if not GRAMMAR.fullmatch(login):
        raise click.BadParameter(f"{login!r} is not a login name: no spaces, 256 letters at most.")
    asked = registry(invocation)
    values = {"login": login, **permissions, **options.given(networks=networks, realms=realms)}
    if is_printed:
        password, stored = new_password(choose)
        values = {"login": login, "password_hash": stored, **_examples(), **values}
        _show_password(login, password)
        printed(table("[[client]]", values))
        return
    values |= of_rule(asked, permissions)
    password, stored = new_password(choose)
    values["password"] = [{"hash": stored, "label": label, "created": _today()}]
    said = asked.post("/clients/add", {"values": values})
    if as_json:
        click.echo(json.dumps(said | {"password": password}))
        return
    click.echo(f"{login} may log in{asked.since}.")
    _show_password(login, password)


@client.command("list", short_help="Show every login with its passwords.")
@options.as_json
@click.pass_obj
def list_(invocation: Invocation, as_json: bool) -> None:
    """Show every login with its passwords: until when they are good, when they were last used.

    With --json one object a line, a line a login. The service writes the last use down once a
    minute.
    """
    rows = registry(invocation).get("/clients")
    if as_json:
        printed(json.dumps(row, ensure_ascii=False) for row in rows)
    else:
        printed(lines(rows, time.time()))


@client.command(short_help="Show all that is known of one login.")
@click.argument("login", type=LOGIN)
@options.as_json
@click.pass_obj
def show(invocation: Invocation, login: str, as_json: bool) -> None:
    """Show all that is known of LOGIN: what it may send, from where, its passwords."""
    row = found(registry(invocation), "client", login)
    printed([json.dumps(row, ensure_ascii=False)] if as_json else page(row, time.time()))


@client.command(short_help="Change what a login may send.")
@click.argument("login", type=LOGIN)
@options.with_permissions
@options.networks
@realms
@options.as_json
@click.pass_obj
def change(
    invocation: Invocation,
    login: str,
    permissions: dict[str, Any],
    networks: tuple[str, ...],
    realms: tuple[str, ...],
    as_json: bool,
) -> None:
    """Change LOGIN; what is not named stays as it is.

    Lists are given whole: --sender A --sender B takes the place of all senders before. An empty
    text ("") clears one. Passwords are changed with m365gw client passwd.
    """
    values = permissions | options.given(networks=networks, realms=realms)
    if not values:
        raise click.UsageError("Say what to change; m365gw client change --help names it.")
    asked = registry(invocation)
    options.check_not_locked(found(asked, "client", login), "client", login)
    said = asked.post("/clients/change", {"login": login, "values": values})
    click.echo(json.dumps(said) if as_json else f"{login} was changed{asked.since}.")


@client.command(short_help="Remove a login with all its passwords.")
@click.argument("login", type=LOGIN)
@options.is_sure
@options.is_dry
@options.as_json
@click.pass_obj
def remove(invocation: Invocation, login: str, is_sure: bool, is_dry: bool, as_json: bool) -> None:
    """Remove LOGIN: it may log in no more. What it has handed in goes on its way.

    One of the configuration file is not removed: you are told where it is.
    """
    asked = registry(invocation)
    row = found(asked, "client", login)
    options.check_not_locked(row, "client", login)
    if is_dry:
        printed(page(row, time.time()))
        return
    options.confirmed(f"Remove {login} with its {len(row['passwords'])} password(s)?", is_sure)
    said = asked.post("/clients/remove", {"login": login})
    click.echo(json.dumps(said) if as_json else f"{login} may log in no more{asked.since}.")


def _examples() -> dict[str, Any]:
    """What a printed table has where nothing was said."""
    return {"senders": ["someone@example.com"], "mailbox": "relay@example.com"}


def _show_password(login: str, password: str) -> None:
    if password:
        click.echo(f"Password for {login}, shown this once:  {password}\n", err=True)


def _today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())
