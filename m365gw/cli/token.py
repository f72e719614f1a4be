"""`m365gw token add, list, remove`: by which programs use the API over the web.

They work on the directory itself, with the service running or stopped, as its user. A token is
shown once, when it is made. Exit codes: 0; 1 when there is no such token, or there is one already;
2 for wrong use; 69 when the directory cannot be used; 77 for another user than root and the
service's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
from attrs import asdict

from m365gw.cli.main import Invocation
from m365gw.cli.open_directory import by, opened
from m365gw.cli.spool_dir import end
from m365gw.cli.words import escaped, moment, printed
from m365gw.config.units import seconds
from m365gw.directory.api_tokens import NAME, ApiToken, ApiTokens, NoSuchToken, TokenExists
from m365gw.directory.operators import ROLES, Role


@click.group()
def token() -> None:
    """Tokens, by which programs use the API over the web."""


@token.command(short_help="Make a token.")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default="viewer",
    help="viewer: may read, and is the default; operator: may change things, too.",
)
@click.option("--ends-in", "life", help="How long it is good for, as 90d. Without: until removed.")
@click.pass_obj
def add(invocation: Invocation, name: str, role: Role, life: str | None) -> None:
    """Make a token for the program NAME, and show it once.

    The program sends it with each request: "Authorization: Bearer TOKEN".
    """
    if not NAME.fullmatch(name):
        raise click.BadParameter(f"{name!r} is no name: no spaces, 128 letters at most.")
    ends_at = None if life is None else time.time() + _life(life)
    with _tokens(invocation) as tokens:
        made = tokens.add(name, role, by(), ends_at)
    click.echo(f"{name} may use the API, as {role}{_until(ends_at)}.")
    click.echo(f"Token, shown once: {made}")
    if not invocation.settings.web.endpoint:
        click.echo(
            "The API is not on the web yet: set endpoint in [web], as"
            ' "tcp:8025:interface=127.0.0.1".'
        )


@token.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_(invocation: Invocation, as_json: bool) -> None:
    """Show all tokens, and when each was last used. The tokens themselves are not kept."""
    with _tokens(invocation) as tokens:
        found = tokens.all()
    printed(json.dumps(_plain(each)) if as_json else _line(each) for each in found)
    if not (found or as_json):
        click.echo("No tokens. To make one: m365gw token add NAME")


@token.command(short_help="Make a token worthless.")
@click.argument("name")
@click.pass_obj
def remove(invocation: Invocation, name: str) -> None:
    """Make the token NAME worthless, within seconds."""
    with _tokens(invocation) as tokens:
        tokens.remove(name, by())
    click.echo(f"{name} may not use the API any more.")


@contextmanager
def _tokens(invocation: Invocation) -> Iterator[ApiTokens]:
    try:
        with opened(invocation) as database:
            yield ApiTokens(database)
    except (NoSuchToken, TokenExists) as problem:
        end(1, str(problem))


def _life(said: str) -> float:
    try:
        life = seconds(said)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if not 0 < life <= 36500 * 86400:
        raise click.BadParameter(f"{said} is no time a token can be good for.")
    return life


def _until(ends_at: float | None) -> str:
    return "" if ends_at is None else f", until {moment(ends_at)}"


def _line(one: ApiToken) -> str:
    used = f"last used {moment(one.last_at)} from {one.last_address}" if one.last_at else "not used"
    has_ended = one.ends_at is not None and one.ends_at <= time.time()
    end_ = "; ended" if has_ended else _until(one.ends_at)
    return f"{one.name:<24}  {one.role:<8}  {escaped(used)}{end_}"


def _plain(one: ApiToken) -> dict[str, object]:
    return asdict(one) | {"last_at": one.last_at or None}
