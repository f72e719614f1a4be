"""What a configuration file may hold, as a JSON Schema (draft 7): for editors that know TOML.

They complete names, show meanings and underline what is wrong (Taplo, Even Better TOML). Written
from the settings classes, so it says what the loader says; what hangs together (`config.checks`) is
beyond a schema. `m365gw check --schema` prints it, and docs/m365gw.schema.json is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import attrs

from m365gw.config.fields import Day, FileName, Octets, Seconds, meaning_of
from m365gw.config.settings import Settings

Schema = dict[str, Any]

DIALECT = "http://json-schema.org/draft-07/schema#"
_NUMBER = r"\d+(\.\d+)?"
_DURATION = rf"^\s*({_NUMBER}|({_NUMBER}\s*([mM][sS]|[smhdwSMHDW])\s*)+)\s*$"
_SIZE = rf"^\s*{_NUMBER}\s*[kmgtKMGT]?([iI]?[bB])?\s*$"

_KINDS: tuple[tuple[Any, Schema], ...] = (
    (Seconds, {"type": ["number", "string"], "minimum": 0, "pattern": _DURATION}),
    (Octets, {"type": ["integer", "string"], "minimum": 0, "pattern": _SIZE}),
    (FileName, {"type": "string"}),
    (Day, {"type": "string", "format": "date"}),  # what TOML calls a local date
    (str, {"type": "string"}),
    (bool, {"type": "boolean"}),
    (int, {"type": "integer"}),
    (float, {"type": "number"}),
)


def schema() -> Schema:
    """The whole file."""
    return {"$schema": DIALECT, "title": "m365gw.toml", **_table(Settings)}


def _table(kind: type[Any]) -> Schema:
    """A table of the file; a name that is not in it is an error."""
    found: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": dict(_properties(kind)),
    }
    required = [each.name for each in attrs.fields(kind) if each.default is attrs.NOTHING]
    return {**found, "required": required} if required else found


def _properties(kind: type[Any]) -> Iterator[tuple[str, Schema]]:
    hints = get_type_hints(kind, include_extras=True)
    for attribute in attrs.fields(kind):
        found = {"description": meaning_of(attribute), **_value(hints[attribute.name])}
        yield attribute.name, {**found, **_default(attribute.default)}


def _value(hint: Any) -> Schema:
    """What may stand behind the sign of equality."""
    for kind, found in _KINDS:
        if hint == kind:
            return dict(found)
    if attrs.has(hint):
        return _table(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _value(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _value(arguments[1])}
    if isinstance(hint, UnionType):  # TOML knows no null: what is None was not written
        (written,) = (each for each in arguments if each is not type(None))
        return _value(written)
    raise TypeError(f"{hint!r} has no schema")


def _default(value: Any) -> Schema:
    """The default, where it is a single value or a list and says something."""
    if isinstance(value, tuple) and not any(attrs.has(type(each)) for each in value):
        return {"default": list(value)}
    if isinstance(value, str | bool | int | float) and not isinstance(value, date):
        return {"default": value}
    return {}
