"""The names of what there is: found, completed in the shell, and asked for."""

from __future__ import annotations

from typing import Any

import click

from m365gw.cli.accounts.options import asked as ask
from m365gw.cli.accounts.options import end
from m365gw.cli.completion import TABLES, names
from m365gw.cli.registry import Registry


class Name(click.ParamType[str]):
    """The name of a row; the shell completes it."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.name = TABLES[table][1]

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> Any:
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in names(self.table)(ctx, param, incomplete)]


ADDRESS, LOGIN, CIDR = Name("mailbox"), Name("client"), Name("network")
LISTENER = Name("listener")


def found(asked: Registry, table: str, name: str) -> dict[str, Any]:
    """The row of that name, in any letter case; without one the command ends with 1."""
    path, key = TABLES[table]
    rows: list[dict[str, Any]] = asked.get(path)
    exact = [number for number, row in enumerate(rows) if row[key] == name]
    near = [
        number for number, row in enumerate(rows) if str(row[key]).casefold() == name.casefold()
    ]
    if len(exact or near) != 1:
        known = ", ".join(str(row[key]) for row in rows) or "none"
        end(1, f"There is no {table} {name}. Known: {known}. To make it: m365gw {table} add {name}")
    return rows[(exact or near)[0]]


def of_rule(asked: Registry, permissions: dict[str, Any]) -> dict[str, Any]:
    """What a new rule needs and was not said, asked for: its mailbox and its senders."""
    if {"mailbox", "senders"} <= permissions.keys():
        return {}
    addresses = [row["address"] for row in asked.get("/mailboxes")]
    only = addresses[0] if len(addresses) == 1 else None
    mailbox = ask(
        permissions.get("mailbox"),
        "--mailbox",
        "The mailbox its mail leaves by",
        default=only,
        type=click.Choice(addresses, case_sensitive=False) if addresses else str,
    )
    if "senders" in permissions:
        return {"mailbox": mailbox}
    senders = ask(None, "--sender", "It may send as (several: with commas)", default=mailbox)
    return {"mailbox": mailbox, "senders": [one.strip() for one in senders.split(",")]}
