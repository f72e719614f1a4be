"""`m365gw mailbox renew`: the next certificate of a mailbox, beside the one it has."""

from __future__ import annotations

import json

import click

from m365gw.cli.accounts import options
from m365gw.cli.accounts.credentials import DAYS, check_is_new, save, upload
from m365gw.cli.accounts.names import ADDRESS, found
from m365gw.cli.main import Invocation
from m365gw.cli.registry import registry
from m365gw.cli.words import printed


@click.command(short_help="Make a mailbox's next certificate beside the old one.")
@click.argument("address", type=ADDRESS)
@click.option(
    "--days", type=click.IntRange(1, 3650), default=DAYS, show_default=True, help="How long."
)
@click.option("--cer", type=click.Path(), help="Write the certificate here, for the upload.")
@options.as_json
@click.pass_obj
def renew(invocation: Invocation, address: str, days: int, cer: str | None, as_json: bool) -> None:
    """Make a new key and certificate for ADDRESS and show the certificate for the upload to Entra.

    Nothing stops meanwhile: the gateway signs in with the old one until Entra takes the new one,
    and lets go of the old one then.
    """
    asked = registry(invocation)
    row = found(asked, "mailbox", address)
    options.check_not_locked(row, "mailbox", address)
    check_is_new(cer)
    said = asked.post("/mailboxes/renew", {"address": row["address"], "days": days})
    if as_json:
        save(said["certificate"], cer)
        printed([json.dumps(said)])
    else:
        printed(upload(said["certificate"], days, cer))
