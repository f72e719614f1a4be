"""Commands that ask the running service: where it is asked, and how they end when it cannot be.

Only the place of the control socket is taken from the configuration, so a service can be asked
while a mistake stands in its file. A command ends with 69 when the service does not run, 77 when
the socket belongs to somebody else, 78 when the configuration is no TOML at all, and 1 when the
service says no.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from m365gw.cli.control import Control, ControlFailed, NotAllowed, NotRunning
from m365gw.cli.main import Invocation
from m365gw.cli.words import escaped

EX_UNAVAILABLE = 69
EX_NOPERM = 77


@contextmanager
def service(invocation: Invocation) -> Iterator[Control]:
    """The control socket of the service; what goes wrong inside ends the command."""
    try:
        path = invocation.place("control_socket")
    except click.exceptions.Exit:
        click.echo("The service was not asked. If it runs, it goes on as it is.", err=True)
        raise
    try:
        yield Control(path)
    except NotRunning as error:
        _end(EX_UNAVAILABLE, str(error))
    except NotAllowed as error:
        _end(EX_NOPERM, str(error))
    except ControlFailed as error:
        _end(1, str(error))


def _end(code: int, words: str) -> NoReturn:
    click.echo("\n".join(escaped(line) for line in words.splitlines()), err=True)
    raise click.exceptions.Exit(code)
