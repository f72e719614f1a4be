"""`m365gw mailbox`: Microsoft 365 mailboxes and their sign-in."""

from __future__ import annotations

import time
from typing import NoReturn

import click

from m365gw.cli.main import Invocation
from m365gw.config.clouds import clouds_of
from m365gw.config.settings import Mailbox, Settings
from m365gw.directory.database import Database
from m365gw.directory.state_dir import NotOurs, claim
from m365gw.directory.vault import Vault
from m365gw.relay.tokens.flows import TokenUnavailable
from m365gw.relay.tokens.https import https_session
from m365gw.relay.tokens.sign_in import DeviceSignIn


@click.group()
def mailbox() -> None:
    """Microsoft 365 mailboxes and their sign-in."""


@mailbox.command()
@click.argument("address")
@click.pass_obj
def signin(invocation: Invocation, address: str) -> None:
    """Sign ADDRESS in with a code in a browser (flow "device").

    Shows a code and a page; whoever may use the mailbox enters the code there. The sign-in is kept
    sealed in state_dir. A running service finds it within seconds and sends what waited.
    """
    settings = invocation.settings
    wanted = _mailbox(settings, address)
    cloud = clouds_of(settings)[wanted.cloud]
    try:
        claim(settings.state_dir)
    except NotOurs as problem:
        _end(str(problem))
    try:
        sign_in = DeviceSignIn.begin(wanted, cloud, lambda each: https_session(each.ca_file))
        click.echo(f"In a browser, open   {sign_in.verification_uri}")
        click.echo(f"and enter the code   {sign_in.user_code}")
        click.echo(f"Sign in as {wanted.address}. Waiting ...")
        database = Database(settings.directory.url, settings.state_dir)
        vault = Vault(database, settings.state_dir)
        while not sign_in.poll(vault):
            time.sleep(sign_in.interval)
    except TokenUnavailable as problem:
        said = problem.diagnosis
        _end(f"The sign-in failed. {said.what}\n{said.why}\nWhat to do: {said.fix} ({said.who})")
    click.echo(f"{wanted.address} is signed in.")


def _mailbox(settings: Settings, address: str) -> Mailbox:
    """The configured mailbox of that address, if a person can sign it in."""
    found = [one for one in settings.mailbox if one.address.casefold() == address.casefold()]
    if not found:
        known = ", ".join(each.address for each in settings.mailbox) or "none"
        _end(f"There is no mailbox {address} in the configuration. Known: {known}.")
    if found[0].flow != "device":
        _end(f'{found[0].address} has flow "{found[0].flow}": it signs in without a person.')
    return found[0]


def _end(words: str) -> NoReturn:
    click.echo(words, err=True)
    raise click.exceptions.Exit(1)
