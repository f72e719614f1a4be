"""`m365gw trace`: the protocol as it is spoken, live, both ways, without secrets.

Asked of the running service; nothing is kept. It ends with its time, or with Ctrl-C, and costs
nothing when it has ended. Exit codes: 0 when it ended, 69 when the service does not run.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import click

from m365gw.cli.accounts.names import ADDRESS
from m365gw.cli.asking import service
from m365gw.cli.control import Control, ControlFailed
from m365gw.cli.main import Invocation
from m365gw.cli.words import escaped, printed

_WAIT = 5.0  # seconds an answer may wait for a line
_ARROWS = {"C": ">", "S": "<", "*": "*"}


@click.command(short_help="Watch the protocol live, both ways, without secrets.")
@click.option("--client", default="", metavar="ADDRESS", help="Only this address or network.")
@click.option("--login", default="", help="Only this login.")
@click.option("--mailbox", default="", type=ADDRESS, help="Only this mailbox, also to Microsoft.")
@click.option("--listener", default="", help="Only this listener.")
@click.option(
    "--seconds",
    type=click.FloatRange(1, 3600),
    default=300.0,
    show_default=True,
    help="How long to watch.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def trace(
    invocation: Invocation,
    client: str,
    login: str,
    mailbox: str,
    listener: str,
    seconds: float,
    as_json: bool,
) -> None:
    """Show what clients say to the gateway and what it says to Microsoft, as it happens.

    All that is named must fit. A login is known once it has succeeded: the lines before are shown
    then. Passwords, tokens and messages are never shown, only that they were sent, and how large.

    \b
    10.1.0.7:40112 > EHLO printer3
    10.1.0.7:40112 < 250-relay.example.com
    """
    order = {"client": client, "login": login, "mailbox": mailbox, "listener": listener}
    with service(invocation) as asked:
        name = asked.post("/trace/begin", {**order, "seconds": seconds})["id"]
        if not as_json:
            click.echo(f"Watching for {seconds:g} seconds; Ctrl-C ends it.", err=True)
        try:
            for said in _followed(asked, name):
                if said["missed"] and not as_json:
                    click.echo(f"{said['missed']} lines were too many, and are missing.", err=True)
                printed(json.dumps(each) if as_json else _line(each) for each in said["lines"])
                if said["over"] and not as_json:
                    click.echo(f"Over: {said['over']}.", err=True)
        except KeyboardInterrupt:
            with contextlib.suppress(ControlFailed):
                asked.post("/trace/end", {"id": name})


def _followed(asked: Control, name: str) -> Iterator[dict[str, Any]]:
    """What is spoken, until it is over."""
    seen, is_over = 0, False
    while not is_over:
        said = asked.post("/trace/follow", {"id": name, "seen": seen, "seconds": _WAIT})
        seen = said["lines"][-1]["number"] if said["lines"] else seen
        is_over = bool(said["over"])
        yield said


def _line(line: dict[str, Any]) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(line["at"]))
    arrow = _ARROWS.get(line["speaker"], "?")
    return escaped(f"{clock} {line['connection']} {arrow} {line['text']}")
