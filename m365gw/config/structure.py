"""From plain values to settings: strict about types, and with every error named at once.

cattrs builds the attrs classes and collects the errors; the hooks here say what each type of
setting may be written as. Only values from the environment are text that is read as something
else; in the file a number is a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime
from functools import cache
from math import isfinite, nan
from types import GenericAlias
from typing import Any, Literal, get_args, get_origin

import attrs
from cattrs import Converter
from cattrs.errors import (
    BaseValidationError,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
)

from m365gw.config import units
from m365gw.config.fields import Day, FileName, Octets, Seconds
from m365gw.config.problems import Problem, suggestion
from m365gw.config.settings import Settings
from m365gw.config.sources import PREFIX, EnvironmentText, KeyPath, Tree

Malformed = tuple[KeyPath, Problem]

_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def settings_from(tree: Tree) -> tuple[Settings | None, list[Problem]]:
    """The settings of a tree of values, or what is wrong with its form."""
    settings, malformed = well_formed(tree)
    return settings, [problem for _, problem in malformed]


def well_formed(tree: Tree) -> tuple[Settings | None, list[Malformed]]:
    """The same, and which key each problem is about."""
    try:
        return _converter().structure(tree.values, Settings), []
    except BaseValidationError as error:
        return None, list(_problems(error, (), tree))


def key_name(path: KeyPath) -> str:
    """A key as people read it: `listener[0].tls`."""
    written = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return written.lstrip(".")


def place_of(tree: Tree, path: KeyPath) -> str:
    """Where a key was given, with its name: `m365gw.toml:7  listener[0].tls`."""
    place = tree.origin(path).place
    name = key_name(tree.named(path))
    return place if place.startswith("environment") else f"{place}  {name}".rstrip()


@cache
def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)

    def a_list(value: Any, kind: Any) -> tuple[Any, ...]:
        if isinstance(value, EnvironmentText):
            value = [EnvironmentText(part.strip()) for part in value.split(",") if part.strip()]
        if not isinstance(value, list):
            if isinstance(value, dict):
                raise TypeError("one table in single brackets")
            raise ValueError('must be a list in brackets, as ["one", "two"]')
        members: Any = GenericAlias(list, get_args(kind)[:1])
        return tuple(converter.structure(value, members))

    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(int, _whole_number)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(bool, _truth)
    converter.register_structure_hook_func(lambda kind: kind == Seconds, _duration)
    converter.register_structure_hook_func(lambda kind: kind == Octets, _size)
    converter.register_structure_hook_func(lambda kind: kind == FileName, _text)
    converter.register_structure_hook_func(lambda kind: kind == Day, _day)
    converter.register_structure_hook_func(_is_choice, _choice)
    converter.register_structure_hook_func(_is_list, a_list)
    return converter


def _is_choice(kind: Any) -> bool:
    return get_origin(kind) is Literal


def _is_list(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _text(value: Any, _: Any) -> str:
    if isinstance(value, str):
        return str(value)
    # The value itself is not repeated: it may be a secret.
    raise ValueError('must be text in quotes, as "text"')


def _whole_number(value: Any, _: Any) -> int:
    if isinstance(value, EnvironmentText) and value.strip().isdecimal():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"must be a whole number, not {value!r}")


def _number(value: Any, _: Any) -> float:
    number = nan
    if isinstance(value, EnvironmentText):
        with suppress(ValueError):
            number = float(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    if isfinite(number):
        return number
    raise ValueError(f"must be a number, not {value!r}")


def _truth(value: Any, _: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, EnvironmentText) and value.strip().lower() in _TRUTHS:
        return _TRUTHS[value.strip().lower()]
    raise ValueError(f"must be true or false, not {value!r}")


def _duration(value: Any, _: Any) -> float:
    return units.seconds(value)


def _size(value: Any, _: Any) -> int:
    return units.octets(int(value) if _is_number_from_environment(value) else value)


def _day(value: Any, _: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str):
        with suppress(ValueError):
            return date.fromisoformat(value)
    raise ValueError(f"must be a day, as 2027-03-31, not {value}")


def _is_number_from_environment(value: Any) -> bool:
    return isinstance(value, EnvironmentText) and value.strip().isdecimal()


def _choice(value: Any, kind: Any) -> str:
    choices = get_args(kind)
    if isinstance(value, str) and value in choices:
        return str(value)
    written = ", ".join(f'"{choice}"' for choice in choices)
    near = suggestion(str(value), choices)
    hint = f". {near}" if near.startswith("Did") else ""
    raise ValueError(f'"{value}" is not one of {written}{hint}')


def _problems(error: BaseException, path: KeyPath, tree: Tree) -> Iterator[Malformed]:
    """Each single fault in cattrs' nested groups, with its key."""
    if isinstance(error, ClassValidationError):
        named, others = error.group_exceptions()
        for inner, note in named:
            yield from _problems(inner, (*path, note.name), tree)
        for inner in others:
            yield from _problems(inner, path, tree)
    elif isinstance(error, IterableValidationError):
        numbered, others = error.group_exceptions()
        for inner, spot in numbered:
            yield from _problems(inner, (*path, _key(spot.index)), tree)
        for inner in others:
            yield from _problems(inner, path, tree)
    elif isinstance(error, ForbiddenExtraKeysError):
        known = [attribute.name for attribute in attrs.fields(error.cl)]
        for key in sorted(error.extra_fields):
            here = (*path, key)
            nearest = _nearest(key, known, tree, here)
            yield here, Problem(place_of(tree, here), "unknown setting", nearest)
    elif isinstance(error, KeyError):
        yield path, Problem(place_of(tree, path), "is missing", "Add it; there is no default.")
    elif isinstance(error, TypeError | AttributeError):
        yield path, Problem(place_of(tree, path), "has the wrong shape", _shape(path, tree))
    else:
        yield path, Problem(place_of(tree, path), str(error))


def _key(index: object) -> str | int:
    """The place in a list, or the key in a table of tables."""
    return index if isinstance(index, int) else str(index)


def _nearest(key: str, known: list[str], tree: Tree, path: KeyPath) -> str:
    """The suggestion for an unknown key, written as its source writes keys."""
    if not tree.origin(path).place.startswith("environment"):
        return suggestion(key, known)
    prefix = PREFIX + "".join(f"{part}__" for part in path[:-1]).upper()
    variables = {name: f"{prefix}{name.upper()}" for name in known}
    return suggestion(key, known, variables.__getitem__)


def _shape(path: KeyPath, tree: Tree) -> str:
    name = key_name(path)
    if tree.origin(path).place.startswith("environment"):
        return f"It is a table: name a key in it, as {PREFIX}{name.upper()}__KEY."
    if get_origin(attrs.fields_dict(Settings)[str(path[0])].type) is tuple:
        return f"There may be several: write each as [[{name}]]."
    return f"Write it as a table: [{name}]."
