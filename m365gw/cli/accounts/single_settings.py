"""`m365gw settings`: single settings, made beside the configuration, which counts before them."""

from __future__ import annotations

import json
from typing import Any

import click

from m365gw.cli.accounts import options
from m365gw.cli.completion import setting_keys
from m365gw.cli.main import Invocation
from m365gw.cli.registry import registry
from m365gw.cli.words import escaped, printed


@click.group()
def settings() -> None:
    """Single settings: what they are, where that was said, and others instead."""


@settings.command("list", short_help="Show settings, and where each was set.")
@click.argument("beginning", default="", shell_complete=setting_keys)
@click.option("--all", "is_all", is_flag=True, help="Also those that have their default.")
@options.as_json
@click.pass_obj
def list_(invocation: Invocation, beginning: str, is_all: bool, as_json: bool) -> None:
    """Show each setting that can be made here, its value, and where it was set.

    BEGINNING shows only those that begin with it, also those that have their default: "queue.".
    With --json one object a line.
    """
    rows = [
        row
        for row in registry(invocation).get("/settings")
        if row["key"].startswith(beginning)
        and (is_all or as_json or beginning or row["origin"] != "default")
    ]
    if as_json:
        printed(json.dumps(row, ensure_ascii=False) for row in rows)
        return
    width = max((len(row["key"]) for row in rows), default=0)
    for row in rows:
        value = escaped(row["made"] if row["origin"] == "directory" else _shown(row["value"]))
        printed([f"{row['key']:<{width}}  {value}  [{escaped(_origin(row))}]"])
    if not rows:
        click.echo("None begins so." if beginning else "All have their defaults; --all shows them.")


@settings.command("set", short_help="Set a setting.")
@click.argument("key", shell_complete=setting_keys)
@click.argument("value")
@options.as_json
@click.pass_obj
def set_(invocation: Invocation, key: str, value: str, as_json: bool) -> None:
    """Set KEY ("queue.delay_warning_time") to VALUE ("4h", "25M", "true", "a, b").

    The configuration file and the environment count before it.
    """
    _say(invocation, key, value, f"{key} is {value}", as_json)


@settings.command(short_help="Take back what was set.")
@click.argument("key", shell_complete=setting_keys)
@options.as_json
@click.pass_obj
def unset(invocation: Invocation, key: str, as_json: bool) -> None:
    """Take back what was set here; KEY has its default again."""
    _say(invocation, key, None, f"{key} has its default again", as_json)


def _say(invocation: Invocation, key: str, value: str | None, words: str, as_json: bool) -> None:
    asked = registry(invocation)
    said = asked.post("/settings/set", {"values": {key: value}})
    click.echo(json.dumps(said) if as_json else escaped(f"{words}{asked.since}."))


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).lower() if isinstance(value, bool) else str(value) or "-"


def _origin(row: dict[str, Any]) -> str:
    if row["origin"] == "directory":
        return f"made by {row['made_by']}"
    return str(row["place"] or "default")
