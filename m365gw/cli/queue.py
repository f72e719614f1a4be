"""`m365gw queue`: what is in the spool, with the service running or stopped.

The spool is read without its lock, so what moves meanwhile may be shown twice or not at all.
Listings print each message as soon as it is read. Exit codes: 0, also for an empty queue; 1 when
the message asked for is not there; 2 for what is no queue id, address or state; and those of
`m365gw.cli.spool_dir`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable

import click

from m365gw.cli.mailq import mailq
from m365gw.cli.queue_json import KEYS, message_object
from m365gw.cli.queue_page import page
from m365gw.cli.queue_table import table
from m365gw.cli.spool_dir import with_spool
from m365gw.smtp.replies import Refused
from m365gw.spool.browse import Queued, browse, look, wanted
from m365gw.spool.names import State, parse_id, render_id
from m365gw.spool.spool import Spool

HEADER_LIMIT = 262_144  # octets of a header that are read to be shown


@click.group()
def queue() -> None:
    """Look at the spool. Works with the service running or stopped, and changes nothing."""


queue.add_command(mailq)


def _queue_id(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    """A queue id, checked against its pattern before anything is looked up by it."""
    try:
        return render_id(parse_id(value))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no queue id: {error}.") from None


@queue.command("list", epilog=KEYS, short_help="List what waits: since when, and why.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in State]),
    help="Only messages in this state; may be given several times.",
)
@click.option("--mailbox", default="", metavar="ADDRESS", help="Only what leaves by this mailbox.")
@click.option("--sender", default="", metavar="PATTERN", help='Only from this sender; "<>": null.')
@click.option("--recipient", default="", metavar="PATTERN", help="Only with such a recipient.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@with_spool
def list_(
    spool: Spool,
    states: tuple[str, ...],
    mailbox: str,
    sender: str,
    recipient: str,
    as_json: bool,
) -> None:
    """List queued messages: state, size, age, attempts, next attempt, mailbox, addresses, reason.

    A PATTERN is "user@example.com", "*@example.com" or "*@*.example.com".
    """
    try:
        wishes = wanted(tuple(State(state) for state in states), mailbox, sender, recipient)
    except Refused as error:
        raise click.BadParameter(error.reply.text) from None
    messages = browse(spool, wishes)
    if as_json:
        _print(json.dumps(message_object(queued)) for queued in messages)
    else:
        _print(table(messages, time.time()))


@queue.command(epilog=KEYS, short_help="Show all that is known of one message.")
@click.argument("queue_id", metavar="ID", callback=_queue_id)
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@with_spool
def show(spool: Spool, queue_id: str, as_json: bool) -> None:
    """Show all that is known of the message ID: envelope, origin, replies and what they mean."""
    from m365gw.cli.header_text import fields

    queued = _find(spool, queue_id)
    if queued is None:
        click.echo(
            f"There is no message {queue_id} in the spool. It was delivered, returned or removed;"
            " the log knows which.",
            err=True,
        )
        raise click.exceptions.Exit(1)
    header = list(fields(queued.header))
    if as_json:
        _print([json.dumps(message_object(queued) | {"header": header})])
    else:
        _print(page(queued, header, time.time()))


def _print(lines: Iterable[str]) -> None:
    """Each line as soon as it is known; letters the terminal does not know are escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    for line in lines:
        click.echo(line.encode(encoding, "backslashreplace"))


def _find(spool: Spool, queue_id: str) -> Queued | None:
    """The message, also when it moves once between being found and being opened."""
    for _ in range(2):
        entry = spool.find(queue_id)
        if entry is None:
            return None
        queued = look(spool, entry, HEADER_LIMIT)
        if queued is not None:
            return queued
    return None
