"""`m365gw drain`: the service takes no more mail, sends what is due, and stops."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import click

from m365gw.cli.asking import service
from m365gw.cli.control import Control, ControlFailed, NotRunning
from m365gw.cli.main import Invocation
from m365gw.cli.words import counted

LOOK_EVERY = 1.0  # seconds


@click.command()
@click.option(
    "--seconds",
    type=click.FloatRange(0, 86400),
    default=60.0,
    show_default=True,
    help="Stop after so many seconds, whatever is left.",
)
@click.option("--wait", is_flag=True, help="Return when the service has stopped; show progress.")
@click.option("--json", "as_json", is_flag=True, help="The status as JSON, one object a line.")
@click.pass_obj
def drain(invocation: Invocation, seconds: float, wait: bool, as_json: bool) -> None:
    """Take no more mail, send what is due now, then stop the service.

    What is due later, or does not go in time, stays in the spool for the next start.
    """
    with service(invocation) as asked:
        _tell(asked.post("/drain", {"seconds": seconds}), as_json)
        if wait:
            _follow(asked, as_json)


def _follow(service: Control, as_json: bool) -> None:
    """Until nobody answers any more."""
    told = None
    with suppress(NotRunning, ControlFailed):
        while True:
            time.sleep(LOOK_EVERY)
            status = service.get("/status")
            if status["queue"] != told:
                _tell(status, as_json)
            told = status["queue"]
    if not as_json:
        click.echo("The service has stopped.")


def _tell(status: dict[str, dict[str, int]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(status))
        return
    queue = status["queue"]
    sending = counted(queue["in_flight"], "message")
    click.echo(f"It drains: {sending} being delivered, {queue['scheduled']:,} waiting.")
