"""`m365gw client`: SMTP logins."""

from __future__ import annotations

import json

import click

from m365gw.config.client_checks import LOGIN
from m365gw.directory import passwords


@click.group()
def client() -> None:
    """SMTP logins for printers and programs."""


@client.command(short_help="Make a login and print its table.")
@click.argument("login")
@click.option("--print", "is_printed", is_flag=True, help="Print the [[client]] table to paste.")
@click.option("--choose", is_flag=True, help="Ask for a password instead of making one.")
@click.option("--sender", "senders", multiple=True, help='May send as this: "*@example.com".')
@click.option("--mailbox", default="", help="The Microsoft 365 mailbox its mail leaves by.")
def add(login: str, is_printed: bool, choose: bool, senders: tuple[str, ...], mailbox: str) -> None:
    """Make a password for LOGIN and print the table for the configuration file.

    The password is shown once and kept nowhere. A made one is strong and quick to check; a chosen
    one is kept as argon2id, which takes the gateway longer for every login.
    """
    if not is_printed:
        raise click.UsageError("Logins live in the configuration file: use --print and paste it.")
    if not LOGIN.fullmatch(login):
        raise click.BadParameter(f"{login!r} is not a login name: no spaces, 256 letters at most.")
    if choose:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        stored = passwords.hash_chosen(password)
    else:
        password, stored = passwords.generate()
        click.echo(f"Password for {login}, shown this once:  {password}\n", err=True)
    table = {
        "login": login,
        "password_hash": stored,
        "senders": list(senders or ("someone@example.com",)),
        "mailbox": mailbox or "relay@example.com",
    }
    click.echo("[[client]]")
    for key, value in table.items():
        # Texts and lists of texts are written alike in TOML and JSON.
        click.echo(f"{key} = {json.dumps(value, ensure_ascii=False)}")
