"""`m365gw healthcheck`: whether the service runs and can take mail, for containers."""

from __future__ import annotations

import json

import click

from m365gw.cli.control import Control, ControlFailed, NotAllowed, NotRunning
from m365gw.cli.main import Invocation
from m365gw.cli.words import escaped

PATIENCE = 5.0  # seconds


@click.command()
@click.option("--json", "as_json", is_flag=True, help='As JSON: {"good": ..., "words": [...]}.')
@click.pass_obj
def healthcheck(invocation: Invocation, as_json: bool) -> None:
    """Exit with 0 when the service can take mail, else with 1 and the reason.

    A mailbox that is held, or a Microsoft that does not answer, is no reason: mail is kept.
    """
    words = _troubles(invocation)
    if as_json:
        click.echo(json.dumps({"good": not words, "words": words}))
    else:
        for line in words or ["good"]:
            click.echo(escaped(line))
    if words:
        raise click.exceptions.Exit(1)


def _troubles(invocation: Invocation) -> list[str]:
    from m365gw.config.places import Places
    from m365gw.config.problems import ConfigError

    try:
        path = Places(invocation.config).of("control_socket")
        status = Control(path, PATIENCE).get("/status")
    except (ConfigError, NotRunning, NotAllowed, ControlFailed) as error:
        return str(error).splitlines()
    words = [f"{each['what']} {each['why']}" for each in status["health"]["troubles"]]
    return [*words, "It drains: no more mail is taken."] if status["is_draining"] else words
