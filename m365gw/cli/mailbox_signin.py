"""What `m365gw mailbox signin` does: a person signs in for a mailbox, in a browser.

By the link (flow web): the browser comes back to this command, which listens on loopback for it; or
the address it ended at is pasted here, when the browser runs on another machine. By a code (flow
device, or `--device`): on any machine. The sign-in is kept sealed in state_dir. A running service
is told, and sends at once what waited for it.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import NoReturn

import click

from m365gw.cli.control import Control, ControlFailed, NotAllowed, NotRunning
from m365gw.cli.loopback import Loopback, address_pasted
from m365gw.cli.main import Invocation
from m365gw.cli.stopped import Stopped
from m365gw.config.clouds import clouds_of
from m365gw.config.mailboxes import USER_FLOWS
from m365gw.config.settings import Mailbox, Settings
from m365gw.directory.database import DirectoryError
from m365gw.directory.state_dir import NotOurs
from m365gw.directory.vault import Vault
from m365gw.microsoft.clouds import Cloud
from m365gw.relay.tokens.device_sign_in import DeviceSignIn
from m365gw.relay.tokens.failures import TokenUnavailable
from m365gw.relay.tokens.https import https_session
from m365gw.relay.tokens.web_sign_in import LIFETIME, WebSignIn


def sign_in(
    invocation: Invocation, address: str, device: bool, redirect_uri: str, as_json: bool
) -> None:
    """Let a person sign in for the mailbox of this address; ends the command by 1 when none did."""
    directory = Stopped(invocation)  # it is the same beside a running service
    try:
        settings = directory.settings
        wanted = _mailbox(settings, address)
        cloud = clouds_of(settings)[wanted.cloud]
        with directory.opened() as database:
            vault = Vault(database, settings.state_dir)
            if device or wanted.flow == "device":
                _by_code(wanted, cloud, vault, as_json)
            else:
                _by_link(wanted, cloud, vault, redirect_uri, as_json)
    except (NotOurs, DirectoryError) as problem:
        _end(str(problem))
    except TokenUnavailable as problem:
        said = problem.diagnosis
        _end(f"The sign-in failed. {said.what}\n{said.why}\nTo do ({said.actor}): {said.fix}")
    done = {"address": wanted.address, "is_signed_in": True}
    click.echo(json.dumps(done) if as_json else f"{wanted.address} is signed in.")
    with suppress(NotRunning, NotAllowed, ControlFailed):  # it would find it in a few seconds
        control = Control(invocation.place("control_socket"))
        control.post("/mailboxes/retry", {"address": wanted.address})


def _by_code(mailbox: Mailbox, cloud: Cloud, vault: Vault, as_json: bool) -> None:
    sign_in = DeviceSignIn.begin(mailbox, cloud, https_session)
    page, code = sign_in.verification_uri, sign_in.user_code
    if as_json:
        click.echo(json.dumps({"open": page, "code": code, "sign_in_as": mailbox.signs_in}))
    else:
        click.echo(f"In a browser, open   {page}")
        click.echo(f"and enter the code   {code}")
        click.echo(f"Sign in as {mailbox.signs_in}. Waiting ...")
    while not sign_in.poll(vault):
        time.sleep(sign_in.interval)


def _by_link(
    mailbox: Mailbox, cloud: Cloud, vault: Vault, redirect_uri: str, as_json: bool
) -> None:
    with Loopback() as loopback:
        address = redirect_uri or loopback.address
        sign_in = WebSignIn.begin(mailbox, cloud, https_session, address)
        if as_json:
            click.echo(json.dumps({"open": sign_in.auth_uri, "sign_in_as": mailbox.signs_in}))
        else:
            click.echo(
                f"In a browser, open\n\n{sign_in.auth_uri}\n\nand sign in as {mailbox.signs_in}."
            )
            click.echo(
                f"If the browser is not on this machine, it ends at a page of {address} that it\n"
                "cannot show: paste the address of that page here. Waiting ..."
            )
        ends_at = time.monotonic() + LIFETIME
        while (seconds := ends_at - time.monotonic()) > 0:
            came = loopback.wait(seconds)
            arguments = came.arguments if came else address_pasted()
            if arguments is None:
                continue
            try:
                sign_in.finish(arguments, vault)
            except TokenUnavailable as problem:
                if came:
                    came.answer(f"The sign-in failed. {problem.diagnosis.what}")
                if problem.diagnosis.key != "signin-foreign":
                    raise
                click.echo(problem.diagnosis.what, err=True)
            else:
                if came:
                    came.answer(f"{mailbox.address} is signed in. You can close this page.")
                return
    _end("Nobody signed in within fifteen minutes. Begin again when somebody can.")


def _mailbox(settings: Settings, address: str) -> Mailbox:
    """The configured mailbox of that address, if a person can sign it in."""
    found = [one for one in settings.mailbox if one.address.casefold() == address.casefold()]
    if not found:
        known = ", ".join(each.address for each in settings.mailbox) or "none"
        _end(f"There is no mailbox {address} in the configuration. Known: {known}.")
    if found[0].flow not in USER_FLOWS:
        _end(f'{found[0].address} has flow "{found[0].flow}": it signs in without a person.')
    return found[0]


def _end(words: str) -> NoReturn:
    click.echo(words, err=True)
    raise click.exceptions.Exit(1)
