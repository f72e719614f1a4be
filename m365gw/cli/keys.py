"""`m365gw keys`: the keys that seal stored secrets."""

from __future__ import annotations

import json

import click

from m365gw.cli.directory import directory
from m365gw.cli.main import Invocation
from m365gw.cli.words import counted
from m365gw.directory.last_known import LastKnown
from m365gw.directory.rotation import rotate as rotated
from m365gw.edge.listening import self_signed


@click.group()
def keys() -> None:
    """The keys that seal stored secrets."""


@keys.command()
@click.option(
    "--forget-lost",
    is_flag=True,
    help="Forget what no key opens any more. Their mailboxes have to be signed in again.",
)
@click.option("--json", "as_json", is_flag=True, help="What was done as one JSON object.")
@click.pass_obj
def rotate(invocation: Invocation, forget_lost: bool, as_json: bool) -> None:
    """Seal every stored secret under a new key, then remove the old key.

    The service may run: it reads the key each time it needs it. Make a new backup afterwards. With
    one PostgreSQL database for several machines, copy state_dir/keys/seal to the others at once.
    """
    settings = invocation.settings
    with directory(settings) as opened:
        files = [
            LastKnown(settings.state_dir, opened.vault.seal).file,
            self_signed.sealed_key(settings.state_dir),
        ]
        count, lost = rotated(opened.database, opened.vault, files, forget_lost=forget_lost)
    if as_json:
        click.echo(json.dumps({"sealed": count, "forgotten": lost}))
        return
    click.echo(f"{counted(count, 'secret')} sealed under a new key; the old key is gone.")
    for name in lost:
        click.echo(f"Forgotten, as no key opens it: {name}")
