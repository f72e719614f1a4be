"""Rows of the configuration as plain values, for what is kept elsewhere than in its file.

A document says what a table of the file would say: what is not in it has its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import attrs

from m365gw.config.problems import Problem
from m365gw.config.sources import Origin, Tree
from m365gw.config.structure import settings_from

Document = dict[str, Any]


def document_of(row: Any) -> Document:
    """What JSON can say of a settings class. Secrets are in it like all else."""
    return {
        attribute.name: _plain(getattr(row, attribute.name))
        for attribute in attrs.fields(type(row))
        if getattr(row, attribute.name) != attribute.default
    }


def row_from(table: str, document: Mapping[str, Any], place: str) -> tuple[Any, list[Problem]]:
    """The row of a table ("mailbox", "client", "network"), or None and what is wrong with it."""
    tree = Tree({table: [dict(document)]}, {(table, 0): Origin(place, Path())})
    settings, problems = settings_from(tree)
    key = f"{table}[0]."
    named = [attrs.evolve(one, place=one.place.replace(key, "")) for one in problems]
    return (getattr(settings, table)[0] if settings else None), named


def _plain(value: Any) -> Any:
    if attrs.has(type(value)):
        return document_of(value)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value
