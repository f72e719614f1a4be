"""`m365gw reload`: the running service takes its configuration anew."""

from __future__ import annotations

import json
from typing import Any

import click

from m365gw.cli.asking import service
from m365gw.cli.control import Control, ControlFailed
from m365gw.cli.main import Invocation
from m365gw.cli.words import printed


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The answer of the service as JSON.")
@click.pass_obj
def reload(invocation: Invocation, as_json: bool) -> None:
    """Make the service read its configuration again, while mail flows.

    All of it is taken or nothing: with a mistake in it the service goes on as before, every
    problem is shown, and this exits with 78. SIGHUP does the same, and tells the log.
    """
    with service(invocation) as asked:
        said, is_taken = _asked(asked)
    if as_json:
        click.echo(json.dumps(said))
    elif is_taken:
        printed(said["changed"] or ["Nothing has changed."])
        if said["needs_restart"]:
            click.echo(f"Changes only with a restart: {', '.join(said['needs_restart'])}")
    else:
        for problem in said["problems"]:
            click.echo(f"{problem['place']}  {problem['fault']}".strip(), err=True)
            if problem["remedy"]:
                click.echo(f"    {problem['remedy']}", err=True)
        click.echo("The service goes on with the configuration it has.", err=True)
    if not is_taken:
        raise click.exceptions.Exit(78)


def _asked(service: Control) -> tuple[dict[str, Any], bool]:
    """What the service says, and whether it has taken the configuration."""
    try:
        return service.post("/reload"), True
    except ControlFailed as error:
        if error.status != 422:
            raise
        return error.answer, False
