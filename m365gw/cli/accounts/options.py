"""Options the commands of accounts share: what a rule permits, where its entry goes, how to end.

An option that is not given is None, or an empty tuple: it says nothing. One that is given as an
empty text ("") says "none": it clears what stands there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import click

from m365gw.cli.completion import names
from m365gw.cli.words import escaped

Command = Callable[..., Any]

is_printed = click.option(
    "--print",
    "is_printed",
    is_flag=True,
    help="Change nothing; print the table for the configuration file.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
is_sure = click.option("--yes", "is_sure", is_flag=True, help="Do not ask whether you are sure.")
is_dry = click.option(
    "--dry-run", "is_dry", is_flag=True, help="Say what would go; change nothing."
)
networks = click.option(
    "--network",
    "networks",
    multiple=True,
    metavar="NETWORK",
    help='Only from this network: "10.1.0.0/16".',
)

_PERMISSIONS = (
    click.option(
        "--sender",
        "senders",
        multiple=True,
        metavar="PATTERN",
        help='May send as this: "scan@example.com", "*@example.com".',
    ),
    click.option(
        "--mailbox",
        metavar="ADDRESS",
        shell_complete=names("mailbox"),
        help="The mailbox its mail leaves by.",
    ),
    click.option(
        "--default-from", metavar="ADDRESS", help="From, where it is missing or rewritten."
    ),
    click.option(
        "--foreign-sender",
        type=click.Choice(["refuse", "rewrite"]),
        help="An envelope sender that is not in senders.",
    ),
    click.option(
        "--foreign-from",
        type=click.Choice(["refuse", "rewrite", "keep"]),
        help="A From field that is not in senders.",
    ),
    click.option(
        "--recipient",
        "recipients",
        multiple=True,
        metavar="PATTERN",
        help="May send to this only.",
    ),
    click.option(
        "--deny-recipient",
        "deny_recipients",
        multiple=True,
        metavar="PATTERN",
        help="May not send to this.",
    ),
    click.option(
        "--messages-per-hour", type=click.IntRange(0), help="Messages in an hour; 0: any number."
    ),
    click.option(
        "--recipients-per-day", type=click.IntRange(0), help="Recipients in a day; 0: any number."
    ),
)
_NAMES = (
    "senders",
    "mailbox",
    "default_from",
    "foreign_sender",
    "foreign_from",
    "recipients",
    "deny_recipients",
    "messages_per_hour",
    "recipients_per_day",
)


def with_permissions(command: Command) -> Command:
    """Gives a command the options of a rule, and as `permissions` those that were given."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        permissions = given(**{name: options.pop(name) for name in _NAMES})
        return command(*arguments, permissions=permissions, **options)

    wrapped: Command = run
    for option in reversed(_PERMISSIONS):
        wrapped = option(wrapped)
    return wrapped


def given(**options: Any) -> dict[str, Any]:
    """What was said, as the registry takes it: lists for what may be there several times."""
    return {
        name: [one for one in value if one] if isinstance(value, tuple) else value
        for name, value in options.items()
        if value not in (None, ())
    }


def asked(value: str | None, option: str, question: str, **more: Any) -> str:
    """What was given, else what a person answers now; wrong use where nobody can be asked."""
    if value is not None:
        return value
    try:
        return str(click.prompt(question, err=True, **more))
    except click.Abort:
        raise click.UsageError(f"Nobody answered. Say it with {option}.") from None


def confirmed(question: str, is_sure: bool) -> None:
    """Go on when a person is sure, or said so before; else the command ends with 1."""
    if is_sure:
        return
    try:
        is_sure = click.confirm(question, err=True)
    except click.Abort:
        raise click.UsageError("Nobody answered. To go on without a question: --yes") from None
    if not is_sure:
        end(1, "Nothing was changed.")


def end(code: int, words: str) -> NoReturn:
    """End the command with this exit code, saying why."""
    click.echo("\n".join(escaped(line) for line in words.splitlines()), err=True)
    raise click.exceptions.Exit(code)


def check_not_locked(row: Mapping[str, Any], table: str, name: str) -> None:
    """End the command where an entry stands in the configuration, which no command changes."""
    if row["origin"] == "file":
        place = f"at {row['place']}" if row["place"] else "in the configuration file"
        end(
            1,
            f"{name} is locked: it is set in the configuration, which no command changes. "
            f"Change its [[{table}]] table {place}, then: m365gw reload",
        )
