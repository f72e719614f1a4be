"""`m365gw check`: is the configuration right, and which value comes from where."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import attrs
import click

from m365gw.cli.main import Invocation
from m365gw.config.sources import KeyPath, Tree
from m365gw.config.structure import key_name


@click.command()
@click.option("--effective", is_flag=True, help="Show each value and where it came from.")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON: key, value, origin.")
@click.option("--schema", "is_schema", is_flag=True, help="What a file may hold, for editors.")
@click.pass_obj
def check(invocation: Invocation, effective: bool, as_json: bool, is_schema: bool) -> None:
    """Read the configuration and show every error, with its place and what to do.

    Exits with 0 when the service would start with it and with 78 when it would not. With --schema
    nothing is read: the JSON Schema by which editors of TOML complete and check a file is printed.
    """
    if is_schema:
        from m365gw.config.schema import schema

        click.echo(json.dumps(schema(), indent=1, ensure_ascii=False))
        return
    settings = invocation.settings
    rows = list(_rows(settings, invocation.loaded.tree, ()))
    if as_json:
        for key, value, origin in rows:
            click.echo(json.dumps({"key": key, "value": value, "origin": origin}))
    elif effective:
        width = max(len(key) for key, _, _ in rows)
        for key, value, origin in rows:
            click.echo(f"{key:<{width}}  {json.dumps(value, ensure_ascii=False)}  [{origin}]")
    else:
        tables = ("listener", "mailbox", "client", "network", "local")
        counts = ", ".join(f"{len(getattr(settings, name))} [[{name}]]" for name in tables)
        click.echo(f"The configuration is good: {counts}.")
        if not (settings.client or settings.network or settings.local):
            click.echo(
                "It lets nobody send. Only logins and networks made by commands or in the console"
                " may: m365gw client list, m365gw network list."
            )


def _rows(value: Any, tree: Tree, path: KeyPath) -> Iterator[tuple[str, Any, str]]:
    """Key, value and origin of each single setting; secrets are shown as stars."""
    if attrs.has(type(value)):
        for attribute in attrs.fields(type(value)):
            inner = getattr(value, attribute.name)
            if attribute.metadata.get("secret"):
                inner = "***" if inner else ""
            yield from _rows(inner, tree, (*path, attribute.name))
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _rows(inner, tree, (*path, name))
    elif isinstance(value, tuple) and value and attrs.has(type(value[0])):
        for number, inner in enumerate(value):
            yield from _rows(inner, tree, (*path, number))
    else:
        shown = list(value) if isinstance(value, tuple) else value
        shown = str(shown) if isinstance(shown, date) else shown
        given = path in tree.origins
        yield key_name(path), shown, tree.origin(path).place if given else "default"
