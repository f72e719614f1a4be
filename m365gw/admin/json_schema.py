"""What JSON says of a type: the JSON Schema (2020-12) of attrs classes, TypedDicts and their parts.

Bodies are attrs classes and answers TypedDicts, so the description of the API is their own. Raises
`TypeError` for a type JSON cannot say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import (
    Any,
    Final,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import attrs

Schema = dict[str, Any]

_SIMPLE: Final[Mapping[Any, Schema]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    NoneType: {"type": "null"},
    Any: {},
}


def schema_of(kind: Any) -> Schema:
    """The schema of a type."""
    if kind in _SIMPLE:
        return dict(_SIMPLE[kind])
    if is_typeddict(kind):
        return _of_typed_dict(kind)
    if attrs.has(kind):
        return _of_attrs(kind)
    origin = get_origin(kind)
    if origin not in _MAKERS:
        raise TypeError(f"{kind!r} has no schema")
    return _MAKERS[origin](get_args(kind))


def summary_of(kind: Any) -> str:
    """The first sentence of what a class says of itself."""
    words = " ".join((kind.__doc__ or "").split())
    return words.partition(". ")[0].rstrip(".")


def _of_attrs(kind: Any) -> Schema:
    hints = get_type_hints(kind)
    properties, required = {}, []
    for field in attrs.fields(kind):
        properties[field.name] = schema_of(hints[field.name])
        if field.default is attrs.NOTHING:
            required.append(field.name)
        elif isinstance(field.default, str | int | float | NoneType):
            properties[field.name]["default"] = field.default
    return _object(properties, required) | {"additionalProperties": False}


def _of_typed_dict(kind: Any) -> Schema:
    hints = get_type_hints(kind, include_extras=True)
    properties = {name: schema_of(hint) for name, hint in hints.items()}
    required = [name for name, hint in hints.items() if get_origin(hint) is not NotRequired]
    return _object(properties, required)


def _object(properties: Schema, required: list[str]) -> Schema:
    schema: Schema = {"type": "object", "properties": properties}
    return schema | ({"required": required} if required else {})


def _of_list(members: tuple[Any, ...]) -> Schema:
    return {"type": "array", "items": schema_of(members[0])}


def _of_dict(members: tuple[Any, ...]) -> Schema:
    return {"type": "object", "additionalProperties": schema_of(members[1])}


def _of_union(members: tuple[Any, ...]) -> Schema:
    return {"anyOf": [schema_of(each) for each in members]}


_MAKERS: Final[Mapping[Any, Callable[[tuple[Any, ...]], Schema]]] = {
    list: _of_list,
    tuple: _of_list,
    dict: _of_dict,
    Union: _of_union,
    UnionType: _of_union,
    Literal: lambda members: {"enum": list(members)},
    NotRequired: lambda members: schema_of(members[0]),
}
