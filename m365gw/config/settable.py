"""Single settings that may also be made beside the configuration: which, and what their text means.

They are what people change while mail flows. Where things lie, and how the console is reached, is
said where the service is started: in the file and the environment. A value is text that means what
it would mean in a variable of the environment: "5m", "25M", "true", "a, b".
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import attrs
from attrs import Attribute, field, frozen

from m365gw.config.problems import Problem, suggestion
from m365gw.config.settings import Settings
from m365gw.config.sources import EnvironmentText, Origin, Tree
from m365gw.config.structure import settings_from

TABLES: Final = ("tls", "queue", "limits", "logins", "governor", "log", "alerts")


@frozen(kw_only=True)
class Configured(Settings):
    """Settings as file and environment give them, and where each of them was given.

    `places` has the key of every setting that was given ("queue.delivery", "listener[0].tls"),
    and its place: "m365gw.toml:7", "environment  M365GW_QUEUE__DELIVERY". Nobody else changes it.
    """

    places: Mapping[str, str] = field(factory=dict, eq=False, repr=False)


def places_of(settings: Settings) -> Mapping[str, str]:
    """Where each setting was given; nothing is known of settings that nobody has read."""
    return settings.places if isinstance(settings, Configured) else {}


@cache
def settable() -> dict[str, Attribute[Any]]:
    """Every setting that may be made, by its key, in the order of the file."""
    found = {"hostname": attrs.fields_dict(Settings)["hostname"]}
    for table in TABLES:
        kind: Any = type(attrs.fields_dict(Settings)[table].default)
        types = typing.get_type_hints(kind)
        for attribute in attrs.fields(kind):
            if not (attribute.metadata.get("secret") or _is_rows(types[attribute.name])):
                found[f"{table}.{attribute.name}"] = attribute
    return found


def value_of(settings: Settings, key: str) -> Any:
    """The value of a setting."""
    table, _, name = key.rpartition(".")
    return getattr(getattr(settings, table) if table else settings, name)


def read(key: str, text: str, place: str) -> tuple[Any, list[Problem]]:
    """The value that a text means, or None and what is wrong with it."""
    if key not in settable():
        what = "is no setting that can be made here"
        return None, [Problem(place, what, suggestion(key, settable()))]
    table, _, name = key.rpartition(".")
    value: Any = {name: EnvironmentText(text)}
    path = (table, name) if table else (name,)
    tree = Tree({table: value} if table else value, {path: Origin(place, Path())})
    settings, found = settings_from(tree)
    problems = [attrs.evolve(one, place=place) for one in found]  # it names the key already
    return (value_of(settings, key) if settings else None), problems


def with_values(settings: Settings, values: Mapping[str, str]) -> Settings:
    """The settings with these instead. Each has been read before."""
    tables: dict[str, dict[str, Any]] = {}
    for key, text in values.items():
        table, _, name = key.rpartition(".")
        tables.setdefault(table, {})[name] = read(key, text, key)[0]
    changed: dict[str, Any] = tables.pop("", {})
    for table, inner in tables.items():
        changed[table] = attrs.evolve(getattr(settings, table), **inner)
    return attrs.evolve(settings, **changed)


def _is_rows(kind: Any) -> bool:
    """Whether it is a list of tables."""
    return get_origin(kind) is tuple and any(attrs.has(each) for each in get_args(kind))
