"""One set of settings, out of those of the configuration and what was made beside them. Pure.

What stands in the configuration is locked: an entry of the same name, or another value of the same
setting, made elsewhere does not count. What was made and does not fit is left out and said, but for
an entry whose mailbox is not there (any more): its mail is taken and waits, as that of a mailbox
that was removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs
from attrs import frozen

from m365gw.config.checks import checks
from m365gw.config.problems import Problem
from m365gw.config.self_service import with_app
from m365gw.config.settable import places_of, with_values
from m365gw.config.settings import Settings
from m365gw.config.sources import KeyPath
from m365gw.config.structure import key_name
from m365gw.directory.entries import Made, place_of
from m365gw.directory.keys import NAMES, key_of

Origin = Literal["file", "directory"]


def merged(configured: Settings, made: Made) -> tuple[Settings, tuple[Problem, ...]]:
    """The settings to go on with, and what is wrong with what was made."""
    beside = _beside(configured, made)
    problems = list(made.problems)
    unfit_rows: set[KeyPath] = set()
    unfit_values: set[str] = set()
    for path, keys, problem in _faults(configured, beside):
        problems.append(problem)
        unfit_values.update(keys)
        if not keys and path[2:] != ("mailbox",):
            unfit_rows.add(path[:2])
    fit = {
        table: [
            row
            for number, row in enumerate(rows, len(getattr(configured, table)))
            if (table, number) not in unfit_rows
        ]
        for table, rows in beside.rows.items()
    }
    values = {key: text for key, text in beside.values.items() if key not in unfit_values}
    return _together(configured, _Beside(fit, values)), tuple(problems)


def problems_of(configured: Settings, made: Made) -> dict[tuple[str, str], Problem]:
    """What is wrong with what was made when it stands beside this configuration.

    By place and fault, as a remedy may name what else there is.
    """
    found = [problem for _, _, problem in _faults(configured, _beside(configured, made))]
    return {(problem.place, problem.fault): problem for problem in found}


def origin(configured: Settings, table: str, name: str) -> Origin:
    """Where an entry of the merged settings stands, or a single one (table "setting")."""
    if table == "setting":
        return "file" if name in places_of(configured) else "directory"
    return "file" if key_of(table, name) in _keys(configured, table) else "directory"


def place_in(configured: Settings, table: str, name: str) -> str:
    """File and line, or variable, where the configuration has it; "" where nothing is known."""
    places = places_of(configured)
    if table == "setting":
        return places.get(name, "")
    return places_in(configured, table).get(key_of(table, name), "")


def places_in(configured: Settings, table: str) -> dict[str, str]:
    """File and line of each entry of a table that the configuration has, by its key."""
    places = places_of(configured)
    return {
        key_of(table, getattr(row, NAMES[table])): places.get(f"{table}[{number}]", "")
        for number, row in enumerate(getattr(configured, table))
    }


@frozen
class _Beside:
    """What was made and is not locked: entries by table, single settings by key."""

    rows: Mapping[str, list[Any]]
    values: Mapping[str, str]


def _beside(configured: Settings, made: Made) -> _Beside:
    rows = {}
    for table, name in NAMES.items():
        locked = _keys(configured, table)
        rows[table] = [
            row for row in made.of(table) if key_of(table, getattr(row, name)) not in locked
        ]
    rows["mailbox"] = [with_app(each, configured.sign_in) for each in rows["mailbox"]]
    given = places_of(configured)
    return _Beside(rows, {each.key: each.value for each in made.settings if each.key not in given})


def _keys(configured: Settings, table: str) -> set[str]:
    return {key_of(table, getattr(row, NAMES[table])) for row in getattr(configured, table)}


def _together(configured: Settings, beside: _Beside) -> Settings:
    both: dict[str, Any] = {
        table: (*getattr(configured, table), *rows) for table, rows in beside.rows.items()
    }
    return attrs.evolve(with_values(configured, beside.values), **both)


def _faults(
    configured: Settings, beside: _Beside
) -> Iterator[tuple[KeyPath, tuple[str, ...], Problem]]:
    """Each fault of what was made, with the keys of the single settings it is about.

    Faults of the configuration are found when it is read.
    """
    settings = _together(configured, beside)
    for path, fault, remedy in checks.faults(settings):
        table, number = str(path[0]), path[1] if len(path) > 1 else None
        if table in beside.rows and isinstance(number, int):
            if number >= len(getattr(configured, table)):
                key = key_of(table, getattr(getattr(settings, table)[number], NAMES[table]))
                place = f"{place_of(table, key)}  {key_name(path[2:])}".rstrip()
                yield path, (), Problem(place, fault, remedy)
            continue
        key = key_name(path)
        # A fault of two settings is told of one of them, which may be the one of the file.
        keys = (key,) if key in beside.values else _of_table(table, beside.values)
        if keys:
            yield path, keys, Problem(place_of("setting", key), fault, remedy)


def _of_table(table: str, values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(key for key in values if key == table or key.startswith(f"{table}."))
