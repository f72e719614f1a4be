"""One set of settings, out of those of the configuration and the entries made beside them. Pure.

What stands in the configuration is locked: an entry of the same name made elsewhere does not
count. A made entry that does not fit is left out and said, but for one whose mailbox is not there
(any more): its mail is taken and waits, as that of a mailbox that was removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

from m365gw.config import checks
from m365gw.config.problems import Problem
from m365gw.config.settings import Settings
from m365gw.config.sources import KeyPath
from m365gw.config.structure import key_name
from m365gw.directory.entries import Made, place_of
from m365gw.directory.keys import NAMES, key_of

Origin = Literal["file", "directory"]


def merged(configured: Settings, made: Made) -> tuple[Settings, tuple[Problem, ...]]:
    """The settings to go on with, and what is wrong with the entries made."""
    beside = _beside(configured, made)
    unfit = set()
    problems = list(made.problems)
    for path, problem in _faults(configured, beside):
        problems.append(problem)
        if path[2:] != ("mailbox",):
            unfit.add(path[:2])
    fit = {
        table: [
            row
            for number, row in enumerate(rows, len(getattr(configured, table)))
            if (table, number) not in unfit
        ]
        for table, rows in beside.items()
    }
    return _together(configured, fit), tuple(problems)


def problems_of(configured: Settings, made: Made) -> dict[tuple[str, str], Problem]:
    """What is wrong with entries made when they stand beside this configuration.

    By place and fault, as a remedy may name what else there is.
    """
    found = [problem for _, problem in _faults(configured, _beside(configured, made))]
    return {(problem.place, problem.fault): problem for problem in found}


def origin(configured: Settings, table: str, name: str) -> Origin:
    """Where an entry of the merged settings stands."""
    return "file" if key_of(table, name) in _keys(configured, table) else "directory"


def _beside(configured: Settings, made: Made) -> dict[str, list[Any]]:
    """The entries made that are not locked, by table."""
    return {
        table: [
            row
            for row in made.of(table)
            if key_of(table, getattr(row, name)) not in _keys(configured, table)
        ]
        for table, name in NAMES.items()
    }


def _keys(configured: Settings, table: str) -> set[str]:
    return {key_of(table, getattr(row, NAMES[table])) for row in getattr(configured, table)}


def _together(configured: Settings, beside: Mapping[str, list[Any]]) -> Settings:
    both: dict[str, Any] = {
        table: (*getattr(configured, table), *rows) for table, rows in beside.items()
    }
    return attrs.evolve(configured, **both)


def _faults(
    configured: Settings, beside: Mapping[str, list[Any]]
) -> Iterator[tuple[KeyPath, Problem]]:
    """Each fault of an entry made; those of the configuration are found when it is read."""
    settings = _together(configured, beside)
    for path, fault, remedy in checks.faults(settings):
        table, number = str(path[0]), path[1] if len(path) > 1 else None
        if table not in beside or not isinstance(number, int):
            continue
        if number >= len(getattr(configured, table)):
            key = key_of(table, getattr(getattr(settings, table)[number], NAMES[table]))
            place = f"{place_of(table, key)}  {key_name(path[2:])}".rstrip()
            yield path, Problem(place, fault, remedy)
