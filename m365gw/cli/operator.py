"""`m365gw operator add, list, passwd, role, remove`: who may sign in to the console.

They work on the directory itself, with the service running or stopped, as its user. A password is
typed twice, or made here and shown once; it is never an argument. Exit codes: 0; 1 when there is no
such operator, or there is one already; 2 for wrong use; 69 when the directory cannot be used; 77
for another user than root and the service's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from m365gw.cli.main import Invocation
from m365gw.cli.open_directory import by, opened
from m365gw.cli.spool_dir import end
from m365gw.cli.words import escaped, moment, printed
from m365gw.directory import passwords
from m365gw.directory.operators import (
    LOGIN,
    ROLES,
    SHORTEST,
    NoSuchOperator,
    Operator,
    OperatorExists,
    Operators,
    Role,
)

_choose = click.option("--choose", is_flag=True, help="Ask for a password instead of making one.")
_role = click.Choice(ROLES)


@click.group()
def operator() -> None:
    """Who may sign in to the console, and whether he may change anything or only look."""


@operator.command(short_help="Let somebody sign in to the console.")
@click.argument("login")
@click.option("--role", type=_role, default="operator", help="viewer: may look, but not change.")
@_choose
@click.pass_obj
def add(invocation: Invocation, login: str, role: Role, choose: bool) -> None:
    """Let LOGIN sign in to the console.

    A strong password is made and shown once; with --choose one is asked for. It is kept as a hash.
    """
    if not LOGIN.fullmatch(login):
        raise click.BadParameter(f"{login!r} is no login: no spaces, 128 letters at most.")
    with _operators(invocation) as operators:
        password = _password(choose)
        operators.add(login, passwords.hash_chosen(password), role, by())
    _tell(f"{login} may sign in, as {role}.", password, choose)
    if not invocation.settings.web.endpoint:
        click.echo(
            'There is no console yet: set endpoint in [web], as "tcp:8025:interface=127.0.0.1".'
        )


@operator.command("list", short_help="Show who may sign in to the console.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_(invocation: Invocation, as_json: bool) -> None:
    """Show who may sign in to the console, and when each did so last."""
    with _operators(invocation) as operators:
        found = operators.all()
    printed(json.dumps(_plain(each)) if as_json else _line(each) for each in found)
    if not (found or as_json):
        click.echo("Nobody may sign in yet: m365gw operator add LOGIN")


@operator.command(short_help="Set a new password.")
@click.argument("login")
@_choose
@click.pass_obj
def passwd(invocation: Invocation, login: str, choose: bool) -> None:
    """Set a new password for LOGIN. Who is signed in by the old one is signed out."""
    with _operators(invocation) as operators:
        password = _password(choose)
        operators.set_password(login, passwords.hash_chosen(password), by())
    _tell(f"{login} has a new password.", password, choose)


@operator.command(short_help="Let an operator change things, or only look.")
@click.argument("login")
@click.argument("role", type=_role)
@click.pass_obj
def role(invocation: Invocation, login: str, role: Role) -> None:
    """Give LOGIN the ROLE operator or viewer. He has to sign in again."""
    with _operators(invocation) as operators:
        operators.set_role(login, role, by())
    click.echo(f"{login} is {role} from the next sign-in on.")


@operator.command(short_help="Let an operator sign in no more.")
@click.argument("login")
@click.pass_obj
def remove(invocation: Invocation, login: str) -> None:
    """Let LOGIN sign in no more. Who is signed in is signed out."""
    with _operators(invocation) as operators:
        operators.remove(login, by())
    click.echo(f"{login} may not sign in any more.")


@contextmanager
def _operators(invocation: Invocation) -> Iterator[Operators]:
    try:
        with opened(invocation) as database:
            yield Operators(database)
    except (NoSuchOperator, OperatorExists) as problem:
        end(1, str(problem))


def _password(choose: bool) -> str:
    if not choose:
        return passwords.generate()[0]
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    if not SHORTEST <= len(password) <= passwords.LONGEST_PASSWORD:
        raise click.UsageError(f"A password has at least {SHORTEST} characters.")
    return password


def _tell(words: str, password: str, choose: bool) -> None:
    click.echo(words)
    if not choose:
        click.echo(f"Password, shown once: {password}")


def _line(one: Operator) -> str:
    if not one.last_at:
        last = "has not signed in yet"
    else:
        last = f"last {moment(one.last_at)} from {one.last_address or 'this machine'}"
    return f"{one.login:<24}  {one.role:<8}  {escaped(last)}"


def _plain(one: Operator) -> dict[str, Any]:
    return {
        "login": one.login,
        "role": one.role,
        "made_at": one.made_at,
        "last_at": one.last_at or None,
        "last_address": one.last_address,
    }
