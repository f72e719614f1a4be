"""Writes docs/configuration.md and docs/m365gw.schema.json from the settings classes.

    python docs/make_configuration.py

A test holds both equal to the code.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import attrs

from m365gw.config.fields import Day, FileName, Octets, Seconds, meaning_of
from m365gw.config.schema import schema
from m365gw.config.settings import Settings

PAGE = Path(__file__).with_name("configuration.md")
SCHEMA = Path(__file__).with_name("m365gw.schema.json")

HEAD = """\
# Configuration reference

Written from the code by `docs/make_configuration.py`. The same settings, with more words about when
to change them, stand in `etc/m365gw.toml`.

The file is `/etc/m365gw/m365gw.toml`, or the one named by `--config` or `M365GW_CONFIG`; all of
`conf.d/*.toml` beside it is read after it. Each setting can also be given as a variable:
`M365GW_` and its path in capitals, with two underscores between the parts
(`M365GW_QUEUE__MAXIMAL_QUEUE_LIFETIME=2d`, `M365GW_MAILBOX__0__TENANT=contoso.com`), lists with
commas. A variable wins over a file.

`m365gw check` shows every error with its place; `m365gw check --effective` shows each value and
where it came from. A name that is not in this list is an error.

An editor that knows JSON Schema for TOML (Taplo, Even Better TOML) completes the names and shows
what they mean: `m365gw check --schema > m365gw.schema.json` beside the file, whose first line is
`#:schema ./m365gw.schema.json`.

| Written as | |
|---|---|
| text | `"relay.example.com"` |
| number | `30`, `2.5` |
| truth | `true`, `false` |
| duration | `300` (seconds), `"300s"`, `"15m"`, `"4h"`, `"5d"` |
| size | `26214400` (octets), `"512K"`, `"25M"`, `"1G"` |
| file | a path; one that is relative begins at the folder of the file it stands in |
| day | `2027-01-31` |
| list | `["one", "two"]` |
"""

_UNITS: dict[Any, tuple[tuple[int, str], ...]] = {
    Seconds: ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")),
    Octets: ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K"), (1, "")),
}
_KINDS: dict[Any, str] = {str: "text", int: "number", float: "number", bool: "truth"}


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_table(Settings, "", "The beginning of the file, before any table."))


def _table(kind: type[Any], path: str, meaning: str) -> Iterator[str]:
    """A table of the file: its own settings, then the tables in it."""
    hints = get_type_hints(kind, include_extras=True)
    yield f"\n## {path or 'Top level'}\n\n{meaning}\n\n"
    rows, inner = [], []
    for attribute in attrs.fields(kind):
        found = _table_in(hints[attribute.name])
        if found is None:
            rows.append(_row(attribute, hints[attribute.name]))
        else:
            inner.append((attribute, *found))
    if rows:
        yield "| Setting | Written as | Default | Meaning |\n|---|---|---|---|\n"
        yield from rows
    for attribute, table, shape in inner:
        name = f"{path.strip('[]')}.{attribute.name}".lstrip(".")
        yield from _table(table, shape.format(name), meaning_of(attribute))


def _table_in(hint: Any) -> tuple[type[Any], str] | None:
    """The class of a table, and how its head is written; None for a single setting."""
    if attrs.has(hint):
        return hint, "[{}]"
    arguments = get_args(hint)
    if get_origin(hint) is tuple and attrs.has(arguments[0]):
        return arguments[0], "[[{}]]"
    if get_origin(hint) is dict and attrs.has(arguments[1]):
        return arguments[1], "[{}.NAME]"
    return None


def _row(attribute: attrs.Attribute[Any], hint: Any) -> str:
    is_required = attribute.default is attrs.NOTHING
    default = "**required**" if is_required else _written(attribute.default, hint)
    secret = " A secret: shown nowhere." if attribute.metadata.get("secret") else ""
    meaning = f"{meaning_of(attribute)}{secret}".replace("|", "\\|")
    return f"| `{attribute.name}` | {_kind(hint)} | {default} | {meaning} |\n"


def _kind(hint: Any) -> str:
    """How a value is written, in words."""
    special = {Seconds: "duration", Octets: "size", FileName: "file", Day: "day"}
    for known, word in special.items():
        if hint == known:
            return word
    if get_origin(hint) is Literal:
        return " ".join(f"`{_plain(choice)}`" for choice in get_args(hint))
    if get_origin(hint) is tuple:
        return f"list of {_kind(get_args(hint)[0])}"
    if isinstance(hint, UnionType):
        return _kind(next(each for each in get_args(hint) if each is not type(None)))
    return _KINDS[hint]


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _written(value: Any, hint: Any) -> str:
    """A default as the file has it."""
    if value is None:
        return ""
    if hint in _UNITS and value:
        size, unit = next(each for each in _UNITS[hint] if value % each[0] == 0)
        return f'`"{value // size:g}{unit}"`' if unit else f"`{value:g}`"
    if isinstance(value, date):
        return f"`{value}`"
    if isinstance(value, tuple | list):
        return f"`{_plain(list(value))}`"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"`{_plain(value)}`"


def schema_text() -> str:
    """The schema, as `m365gw check --schema` prints it."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    sys.stdout.write(f"{PAGE} and {SCHEMA} are written.\n")
