"""`m365gw mailbox pause, resume, retry`: whether a mailbox of the running service sends.

A pause holds at once and over restarts; the mail of a paused mailbox is taken and kept, and does
not age. While no service runs this is said to the next one: 66 where none has ever run.
"""

from __future__ import annotations

import json
from typing import Any

import click

from m365gw.cli.accounts import options
from m365gw.cli.accounts.names import ADDRESS
from m365gw.cli.main import Invocation
from m365gw.cli.registry import registry
from m365gw.cli.words import printed
from m365gw.relay.stops.pauses import paused


def _reason(_ctx: click.Context, _param: click.Parameter, words: str) -> str:
    try:
        paused("", words, "")
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return words


@click.command(short_help="Send nothing by a mailbox until it is resumed.")
@click.argument("address", type=ADDRESS)
@click.option(
    "--why",
    metavar="WORDS",
    required=True,
    callback=_reason,
    help="The reason, shown to whoever looks.",
)
@options.as_json
@click.pass_obj
def pause(invocation: Invocation, address: str, why: str, as_json: bool) -> None:
    """Send nothing by the mailbox ADDRESS; what is on its way arrives, the rest waits.

    Mail is still taken for it, is kept, and does not grow older. It lasts over restarts.
    """
    words = "{address} is paused: {waits} waiting. To let it go on: m365gw mailbox resume {address}"
    _order(invocation, "/mailboxes/pause", {"address": address, "reason": why}, words, as_json)


@click.command(short_help="Let a paused mailbox go on.")
@click.argument("address", type=ADDRESS)
@options.as_json
@click.pass_obj
def resume(invocation: Invocation, address: str, as_json: bool) -> None:
    """Let the mailbox ADDRESS send again: what waits goes at once."""
    words = "{address} goes on ({state}): {waits} waiting."
    _order(invocation, "/mailboxes/resume", {"address": address}, words, as_json)


@click.command(short_help="Try a held mailbox now, after mending it.")
@click.argument("address", type=ADDRESS)
@options.as_json
@click.pass_obj
def retry(invocation: Invocation, address: str, as_json: bool) -> None:
    """Try the mailbox ADDRESS now: what stops it may be mended. A paused one stays paused."""
    words = "{address} is tried now ({state}): {waits} waiting."
    _order(invocation, "/mailboxes/retry", {"address": address}, words, as_json)


def _order(
    invocation: Invocation, path: str, body: dict[str, Any], words: str, as_json: bool
) -> None:
    asked = registry(invocation)
    said = asked.post(path, body)
    printed([json.dumps(said, ensure_ascii=False) if as_json else words.format_map(said)])
    if not asked.is_running:
        click.echo("The service does not run: this holds from its next start on.", err=True)
