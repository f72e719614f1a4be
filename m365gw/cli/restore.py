"""`m365gw restore`: a gateway as it was when a backup was made, here or on another machine."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from m365gw.cli.control import Control, ControlFailed, NotAllowed, NotRunning
from m365gw.cli.directory import as_owner_of, end, there, told
from m365gw.cli.main import Invocation, load_or_exit
from m365gw.cli.passphrase import known_passphrase, passphrase_file
from m365gw.cli.words import counted
from m365gw.config.settings import Settings
from m365gw.directory.backup import Backup, read
from m365gw.directory.passphrase import opened
from m365gw.directory.private_files import write_private
from m365gw.directory.restore import BEFORE, is_in_use, put_back


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@passphrase_file
@click.option("--replace", is_flag=True, help="Put it in the place of what is there.")
@click.option(
    "--configuration",
    "folder",
    type=click.Path(file_okay=False),
    help="Write the files of the configuration to this folder first, and go by them.",
)
@click.option("--json", "as_json", is_flag=True, help="What was done as one JSON object.")
@click.pass_obj
def restore(
    invocation: Invocation,
    file: str,
    passphrase_file: str | None,
    replace: bool,
    folder: str | None,
    as_json: bool,
) -> None:
    """Put back what `m365gw backup` wrote to FILE. The service must be stopped.

    Where there is something already it is only replaced with --replace, and kept in
    state_dir/before-restore. Interrupted, run it again. Mail in the spool is not touched.
    """
    with told():
        backup = read(opened(known_passphrase(passphrase_file), Path(file).read_bytes()))
        if folder is not None:
            invocation.loaded = load_or_exit(_write_configuration(backup, Path(folder)))
            _let_the_service_read(Path(folder), invocation.settings.state_dir)
        settings = invocation.settings
        _check_stopped(settings)
        url, state_dir = settings.directory.url, settings.state_dir
        with as_owner_of(state_dir):
            if not replace and is_in_use(url, state_dir):
                end(f"There is a gateway in {state_dir} already. To replace it: --replace")
            put_back(backup, url, state_dir)
    rows, files = sum(map(len, backup.tables.values())), len(backup.state)
    before = str(Path(state_dir, BEFORE)) if replace else None
    if as_json:
        done = {"made_at": backup.made_at, "rows": rows, "files": files, "before": before}
        click.echo(json.dumps(done | {"configuration": folder}))
        return
    made = datetime.fromtimestamp(backup.made_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    click.echo(f"Restored as of {made}: {counted(rows, 'row')}, {counted(files, 'file')}.")
    if before:
        click.echo(f"What was there is in {before}, until the next time.")
    if folder is None:
        click.echo("The configuration was left as it is; --configuration DIR writes it out.")


def _write_configuration(backup: Backup, folder: Path) -> str:
    """Write the files; gives the main one, which is not in the folders in it."""
    files = dict(backup.configuration)
    if not any("/" not in name and name.endswith(".toml") for name in files):
        files["m365gw.toml"] = b""  # all was made by commands or in the console
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        # What an earlier try has written is no obstacle. Behind a link is somebody else's.
        is_ours = path.is_dir() or (path.is_file() and path.read_bytes() == files.get(name))
        if path.is_symlink() or not is_ours:
            end(f"{path} is not of this backup. Name an empty folder, and compare.")
    for name, octets in files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            end(f"The backup names a file outside of its folder: {name}")
        write_private(path, octets)
    tables = [name for name in files if name.endswith(".toml") and "/" not in name]
    return str(folder / min(tables, key=lambda name: (name != "m365gw.toml", name)))


def _let_the_service_read(folder: Path, state_dir: str) -> None:
    """What root wrote is read, and not changed, by the group that `state_dir` belongs to."""
    if os.geteuid():
        return
    group = os.stat(there(state_dir)).st_gid
    for path in (folder, *folder.rglob("*")):
        os.chown(path, -1, group)
        path.chmod(0o750 if path.is_dir() else 0o640)


def _check_stopped(settings: Settings) -> None:
    try:
        Control(settings.control_socket, 5.0).get("/status")
    except (NotRunning, NotAllowed):
        return
    except ControlFailed:
        pass  # something answers there
    end("The service runs. Stop it first: what it still holds would be written over the backup's.")
