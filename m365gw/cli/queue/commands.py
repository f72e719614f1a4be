"""`m365gw queue`: what is in the spool, with the service running or stopped.

The spool is read without its lock, so what moves meanwhile may be shown twice or not at all.
Listings print each message as soon as it is read. What changes the queue is in files of its own
(`queue_changes`, `queue_adopt`). Exit codes: 0, also for an empty queue; 1 when
the message asked for is not there; 2 for what is no queue id, address or state; and those of
`m365gw.cli.spool_dir`.
"""

from __future__ import annotations

import json
import os
import time

import click

from m365gw.cli.completion import queue_ids
from m365gw.cli.queue.adopt import adopt_
from m365gw.cli.queue.changes import bounce, flush, hold, release, remove, retry
from m365gw.cli.queue.filters import Filters, queue_id, with_filters
from m365gw.cli.queue.objects import KEYS, message_object
from m365gw.cli.queue.page import page
from m365gw.cli.queue.shape import shape
from m365gw.cli.queue.table import table
from m365gw.cli.running import Running, running_now
from m365gw.cli.spool_dir import Place, looking, say_what_is_not_seen, with_place
from m365gw.cli.words import printed
from m365gw.spool import layout
from m365gw.spool.browse import Queued, look
from m365gw.spool.spool import Spool

HEADER_LIMIT = 262_144  # octets of a header that are read to be shown


@click.group()
def queue() -> None:
    """Look at the queue and act on it, with the service running or stopped."""


for command in (hold, release, retry, bounce, remove, flush, shape, adopt_):
    queue.add_command(command)


def _queue_id(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    return queue_id(value)


@queue.command("list", epilog=KEYS, short_help="List what waits: since when, and why.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@with_place
@with_filters
def list_(place: Place, filters: Filters, as_json: bool) -> None:
    """List queued messages: state, size, age, attempts, next attempt, mailbox, addresses, reason.

    A PATTERN is "user@example.com", "*@example.com" or "*@*.example.com". Messages that the running
    service delivers just now are shown as active.
    """
    running = _running(place)
    with looking(place) as spool:
        messages = filters.messages(spool, running.active)
        if as_json:
            printed(json.dumps(message_object(queued, running)) for queued in messages)
        else:
            printed(table(messages, time.time(), running))


@queue.command(epilog=KEYS, short_help="Show all that is known of one message.")
@click.argument("queue_id", metavar="ID", callback=_queue_id, shell_complete=queue_ids)
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@with_place
def show(place: Place, queue_id: str, as_json: bool) -> None:
    """Show all that is known of the message ID: envelope, origin, replies and what they mean."""
    from m365gw.smtp.shown_header import fields

    running = _running(place)
    with looking(place) as spool:
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
        printed([json.dumps(message_object(queued, running) | {"header": header})])
    else:
        file = os.path.join(place.spool_dir, layout.path_of(queued.entry))
        found = file if os.path.exists(file) else ""
        printed(page(queued, header, time.time(), running, found))


def _running(place: Place) -> Running:
    running = running_now(place.control_socket)
    if not running.is_known:
        say_what_is_not_seen(place)
    return running


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
