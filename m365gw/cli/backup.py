"""`m365gw backup`: all that a gateway is, but for its mail, in one sealed file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from m365gw.cli.directory import directory, end, told
from m365gw.cli.main import Invocation
from m365gw.cli.passphrase import new_passphrase, passphrase_file
from m365gw.cli.words import counted
from m365gw.config.sources import DEFAULT_PATH, PATH_VARIABLE
from m365gw.directory.backup import make, named_files
from m365gw.directory.passphrase import sealed
from m365gw.directory.private_files import write_private


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@passphrase_file
@click.option("--replace", is_flag=True, help="Write over a file that is there.")
@click.option("--json", "as_json", is_flag=True, help="What was done as one JSON object.")
@click.pass_obj
def backup(
    invocation: Invocation, file: str, passphrase_file: str | None, replace: bool, as_json: bool
) -> None:
    """Write everything but the mail into FILE, sealed with a passphrase; the service may run.

    That is: mailboxes, clients, networks, sign-ins and history; keys and certificates of
    state_dir; the configuration with the files in its folder. Without the passphrase FILE shows
    nothing, and whoever has both can send as your mailboxes. Mail is not in it: what was sent since
    would be sent again. m365gw restore puts it back, also on another machine.
    """
    if os.path.exists(file) and not replace:
        end(f"{file} is there already. Name another one, or say --replace.")
    settings = invocation.settings
    config = Path(invocation.config or os.environ.get(PATH_VARIABLE) or DEFAULT_PATH).absolute()
    phrase = new_passphrase(passphrase_file)
    with directory(settings) as opened:
        named = [path for path in named_files(settings) if path.is_file()]
        made = make(opened.database, settings.state_dir, config, named)
    with told():
        write_private(Path(file), sealed(phrase, made.octets()))
    rows, files = sum(map(len, made.tables.values())), len(made.state) + len(made.configuration)
    held = {Path(settings.state_dir, name).resolve() for name in made.state}
    held |= {(config.parent / name).resolve() for name in made.configuration}
    missing = sorted({str(path) for path in named if path.resolve() not in held})
    if as_json:
        click.echo(json.dumps({"file": file, "rows": rows, "files": files, "not_in_it": missing}))
        return
    holds = f"{counted(rows, 'row')} and {counted(files, 'file')}"
    click.echo(f"{file} holds {holds}. Keep the passphrase apart from it.")
    for path in missing:
        click.echo(f"Not in it, as it lies elsewhere: {path}", err=True)
