"""`m365gw completion`: the script that has a shell complete commands, options and names.

Names and incidents come from the running service, which is asked for a second at most; while it
does not run names come from where it would read them. Queue ids are names of files in the spool,
keys of settings are known here. What cannot be had is not offered, without a word.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import click

from m365gw.cli.control import Control, ControlFailed, NotAllowed, NotRunning
from m365gw.cli.main import Invocation

_VARIABLE = "_M365GW_COMPLETE"
_PATIENCE = 1.0  # seconds
_MOST = 100  # queue ids, incidents; nobody reads more

# For each table: where its rows are, and the key that names one.
TABLES = {
    "mailbox": ("/mailboxes", "address"),
    "client": ("/clients", "login"),
    "network": ("/networks", "cidr"),
    "listener": ("/listeners", "name"),
}

Completer = Callable[[click.Context, click.Parameter, str], list[str]]
_WHERE = {
    "bash": "m365gw completion bash > /etc/bash_completion.d/m365gw",
    "zsh": "m365gw completion zsh > /usr/local/share/zsh/site-functions/_m365gw",
    "fish": "m365gw completion fish > ~/.config/fish/completions/m365gw.fish",
}
# To bash an address would be three words, and none of them the beginning of one.
_WHOLE_ADDRESSES = "COMP_WORDBREAKS=${COMP_WORDBREAKS//@/}"


@click.command(epilog="To install it for good:\n\n" + "\n\n".join(_WHERE.values()))
@click.argument("shell", type=click.Choice(list(_WHERE)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what completes m365gw in SHELL. To try it: eval "$(m365gw completion bash)"."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # click knows these three
    source = kind(ctx.find_root().command, {}, "m365gw", _VARIABLE).source()
    click.echo(f"{_WHOLE_ADDRESSES}\n{source}" if shell == "bash" else source)


def names(table: str) -> Completer:
    """Completes the names of the rows of a table."""
    path, key = TABLES[table]

    def completed(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        found = (str(row[key]) for row in _rows(ctx, path))
        return [name for name in found if name.startswith(incomplete)]

    return completed


def setting_keys(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Keys of single settings that begin so."""
    from m365gw.config.settable import settable

    return [key for key in settable() if key.startswith(incomplete)]


def incident_ids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Ids of incidents that begin so, the newest first."""
    try:
        control = Control(_place(ctx, "control_socket"), _PATIENCE)
        said = control.post("/incidents/list", {"all": True, "limit": _MOST})["incidents"]
    except (NotRunning, NotAllowed, ControlFailed):
        return []
    return [one["id"] for one in said if one["id"].startswith(incomplete.lower())]


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


def _rows(ctx: click.Context, path: str) -> list[dict[str, Any]]:
    """What GET of a path gives, of the service or of what it would read."""
    try:
        said: list[dict[str, Any]] = Control(_place(ctx, "control_socket"), _PATIENCE).get(path)
    except NotRunning:
        return _rows_at_rest(ctx, path)
    except (NotAllowed, ControlFailed):
        return []
    return said


def _rows_at_rest(ctx: click.Context, path: str) -> list[dict[str, Any]]:
    from m365gw.cli.stopped import Stopped
    from m365gw.config.load import load

    config = ctx.find_root().params.get("config")
    try:
        said: list[dict[str, Any]] = Stopped(Invocation(config, load(config))).get(path)
    except Exception:  # whatever it is, it must not appear in the middle of a line being typed
        return []
    return said


def _place(ctx: click.Context, setting: str) -> str:
    """Where something is; "" when the configuration cannot be read, which is said elsewhere."""
    from m365gw.config.places import Places
    from m365gw.config.problems import ConfigError

    try:
        return Places(ctx.find_root().params.get("config")).of(setting)
    except ConfigError:
        return ""
