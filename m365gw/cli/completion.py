"""`m365gw completion`: the script that has a shell complete commands, options and names.

Addresses, logins and networks come from the running service, which is asked for a second at most,
queue ids from the names of files in the spool. What cannot be had is not offered, without a word.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from m365gw.cli.control import Control, ControlFailed, NotAllowed, NotRunning
from m365gw.cli.main import Invocation

_VARIABLE = "_M365GW_COMPLETE"
_PATIENCE = 1.0  # seconds
_MOST = 100  # queue ids; nobody reads more
_WHERE = {
    "bash": "m365gw completion bash > /etc/bash_completion.d/m365gw",
    "zsh": 'm365gw completion zsh > "${fpath[1]}/_m365gw"',
    "fish": "m365gw completion fish > ~/.config/fish/completions/m365gw.fish",
}


@click.command(epilog="To install it for good:\n\n" + "\n\n".join(_WHERE.values()))
@click.argument("shell", type=click.Choice(list(_WHERE)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what has SHELL complete m365gw; for now only: eval "$(m365gw completion bash)"."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # click knows these three
    click.echo(kind(ctx.find_root().command, {}, "m365gw", _VARIABLE).source())


def rows(ctx: click.Context, path: str) -> list[dict[str, Any]]:
    """What the service says to GET of a path; nothing when it cannot be asked now."""
    place = _place(ctx, "control_socket")
    try:
        said: list[dict[str, Any]] = Control(place, _PATIENCE).get(path)
    except (NotRunning, NotAllowed, ControlFailed):
        return []
    return said


def queue_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Queue ids of messages in the spool that begin so."""
    from m365gw.spool.browse import Wanted, select
    from m365gw.spool.health import SpoolError, Unusable
    from m365gw.spool.spool import Spool

    place = ctx.params.get("place")
    folder = place.spool_dir if place else _place(ctx, "spool_dir")
    try:
        spool = Spool.open(folder, hostname="", read_only=True)
    except Unusable:
        return []
    try:
        found = (entry.queue_id for entry in select(spool, Wanted()))
        return list(islice((each for each in found if each.startswith(incomplete.upper())), _MOST))
    except SpoolError:
        return []
    finally:
        spool.close()


def _place(ctx: click.Context, setting: str) -> str:
    """Where something is; the shell asks before the command begins, so nobody has looked yet."""
    try:
        return Invocation(ctx.find_root().params.get("config"), is_told=True).place(setting)
    except click.exceptions.Exit:
        return ""
