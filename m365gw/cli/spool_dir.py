"""Which spool a command looks at: that of the configuration, or another one given by hand.

With `--spool-dir` no configuration is read at all, so a spool can be looked at when the
configuration is broken, or on another machine.

Ends a command, with words, by 66 when there is no spool, 77 when it may not be read, 69 when it
cannot be opened and 74 when the disk fails while it is read.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, NoReturn

import click

from m365gw.spool.health import SpoolError, Unusable
from m365gw.spool.spool import Spool

EX_NOINPUT = 66
EX_UNAVAILABLE = 69
EX_IOERR = 74
EX_NOPERM = 77


def with_spool(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the option `--spool-dir`, and the opened spool as its first argument."""

    @click.option(
        "--spool-dir",
        metavar="DIR",
        callback=_spool_dir,
        help="Look at this spool, whatever the configuration says.",
    )
    @functools.wraps(command)
    def run(spool_dir: str, **options: Any) -> None:
        spool = _open(spool_dir)
        try:
            command(spool, **options)
        except SpoolError as error:
            _end(EX_IOERR, f"The spool {spool_dir} cannot be read: {error.cause}.")
        finally:
            spool.close()

    return run


def _spool_dir(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str:
    """The folder given, else that of the settings in `ctx.obj`, which are read only now."""
    if value is not None:
        return value
    try:
        return str(ctx.obj.settings.spool_dir)
    except click.exceptions.Exit:
        click.echo("To look at a spool all the same, name it: --spool-dir DIR", err=True)
        raise


def _open(path: str) -> Spool:
    if not os.path.exists(path):
        _end(EX_NOINPUT, f"There is no spool at {path}. The service makes it when it first starts.")
    if not os.access(path, os.R_OK | os.X_OK):
        words = "Run this as the user of the service or as root."
        _end(EX_NOPERM, f"You may not read the spool {path}. {words}")
    try:
        return Spool.open(path, hostname="", read_only=True)
    except Unusable as error:
        _end(EX_UNAVAILABLE, str(error))


def _end(code: int, words: str) -> NoReturn:
    click.echo(words, err=True)
    raise click.exceptions.Exit(code)
