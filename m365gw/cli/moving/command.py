"""`m365gw import`: mailboxes with their sign-ins, logins and networks of another program.

Its files are read and stay as they are. All that is found is made in one change; what is there
already stays as it is, so the command can be given again. When something could not be read nothing
is made, unless the rest is asked for.

Exit codes: 0; 1 when something could not be read or the registry said no; 2 for wrong use; 73 when
the file for new passwords cannot be made; and those of `m365gw.cli.registry`.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
from attrs import asdict

from m365gw.cli.accounts import options
from m365gw.cli.main import Invocation
from m365gw.cli.moving.new_passwords import Chest
from m365gw.cli.moving.plan import Plan
from m365gw.cli.moving.report import lines
from m365gw.cli.registry import registry
from m365gw.cli.words import printed
from m365gw.moving.sources import SOURCES


@click.command("import", short_help="Take over what another program has.")
@click.argument("source", type=click.Choice(sorted(SOURCES)), metavar="SOURCE")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would be made; change nothing.")
@click.option("--skip-broken", is_flag=True, help="Make the rest when something cannot be read.")
@click.option(
    "--new-passwords",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Make new passwords where the old one cannot be kept, and write them into this new file.",
)
@click.option("--cloud", default="", metavar="NAME", help="The cloud its mailboxes are in.")
@options.as_json
@click.pass_obj
def import_(
    invocation: Invocation,
    source: str,
    path: Path,
    is_dry: bool,
    skip_broken: bool,
    file: Path | None,
    cloud: str,
    as_json: bool,
) -> None:
    """Take over mailboxes, sign-ins, logins and networks of SOURCE, whose files are in PATH.

    SOURCE is simple-m365-relay (PATH: its data folder, or the zip of its backup),
    microsoft-smtp-oauth2-proxy (the folder with its .env and database) or postfix (the folder of
    main.cf, with sasl-xoauth2). Passwords stay good where they can. See docs/moving.md.
    """
    _check_cloud(invocation, cloud)
    plan = Plan.of(SOURCES[source](path, cloud), source, with_new=file is not None)
    asked = registry(invocation)
    goes_on = not is_dry and (skip_broken or not plan.found.broken)
    if goes_on:
        with Chest(file) as chest:
            entries = [asdict(each) for each in asked.take_over(plan.handover(chest))]
            chest.keep(each["name"] for each in entries if each["done"] == "made")
        asked.refresh()
    else:
        entries = plan.foreseen(invocation.settings, asked.get)
    shown = plan.plain(entries, is_made=goes_on)
    printed([json.dumps(shown, ensure_ascii=False)] if as_json else lines(shown, asked.since))
    if plan.found.broken and not is_dry and not goes_on:
        options.end(1, "Nothing was made. To make the rest all the same: --skip-broken")
    if plan.found.broken or any(each["done"] == "refused" for each in entries):
        raise click.exceptions.Exit(1)


def _check_cloud(invocation: Invocation, cloud: str) -> None:
    from m365gw.config.clouds import clouds_of

    known = clouds_of(invocation.settings)
    if cloud and cloud not in known:
        raise click.UsageError(f"There is no cloud {cloud}. Known: {', '.join(known)}.")
