"""Which spool a command looks at: that of the configuration, or another one given by hand.

Only the places are taken from the configuration, so the queue can be looked at while a mistake
stands in it. With `--spool-dir` it is not read at all: for one that is no TOML, or of another
machine.

Ends a command, with words, by 66 when there is no spool, 77 when it may not be read, 69 when it
cannot be opened and 74 when the disk fails while it is read.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click
from attrs import frozen

from m365gw.spool import layout
from m365gw.spool.health import SpoolError, Unusable
from m365gw.spool.spool import Spool

EX_NOINPUT = 66
EX_UNAVAILABLE = 69
EX_IOERR = 74
EX_NOPERM = 77
UNSEEN = (
    "The service cannot be asked. If it does not run, it was not stopped in good order: mail it "
    "accepted in its last moments may not be shown here. It is when the service has started."
)


@frozen
class Place:
    """A spool, and where the service that works on it can be asked; "" for nowhere."""

    spool_dir: str
    control_socket: str


def with_place(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the option `--spool-dir`, and its `Place` as its first argument."""

    @click.option(
        "--spool-dir",
        "place",
        metavar="DIR",
        callback=_place,
        help="Use this spool, whatever the configuration says.",
    )
    @functools.wraps(command)
    def run(place: Place, **options: Any) -> None:
        command(place, **options)

    return run


@contextmanager
def looking(place: Place) -> Iterator[Spool]:
    """The spool, to be looked at. What keeps one from it ends the command."""
    spool = _open(place.spool_dir)
    try:
        yield spool
    except SpoolError as error:
        end(EX_IOERR, f"The spool {place.spool_dir} cannot be read: {error.cause}.")
    finally:
        spool.close()


def say_what_is_not_seen(place: Place) -> None:
    """For a spool whose service cannot be asked: mail of its last moments may be out of sight."""
    if layout.has_log(place.spool_dir):
        click.echo(UNSEEN, err=True)


def _place(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Place:
    """The folder given, else that of the configuration in `ctx.obj`."""
    if value is not None:
        return Place(value, "")
    try:
        return Place(ctx.obj.place("spool_dir"), ctx.obj.place("control_socket"))
    except click.exceptions.Exit:
        click.echo("To use a spool all the same, name it: --spool-dir DIR", err=True)
        raise


def _open(path: str) -> Spool:
    if not os.path.exists(path):
        end(EX_NOINPUT, f"There is no spool at {path}. The service makes it when it first starts.")
    if not os.access(path, os.R_OK | os.X_OK):
        words = "Run this as the user of the service or as root."
        end(EX_NOPERM, f"You may not read the spool {path}. {words}")
    try:
        return Spool.open(path, hostname="", read_only=True)
    except Unusable as error:
        end(EX_UNAVAILABLE, str(error))


def end(code: int, words: str) -> NoReturn:
    """End the command with this exit code, saying why."""
    click.echo(words, err=True)
    raise click.exceptions.Exit(code)
