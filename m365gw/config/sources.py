"""Where settings come from: the TOML file, `conf.d/*.toml` beside it, and the environment.

All sources are merged into one tree of plain values. For each value the tree also knows its origin
(file and line, or the name of the variable), so that a fault found later can name its place and
`m365gw check --effective` can say where a value came from.

Tables are merged key by key and a later file wins; arrays of tables (`[[client]]`) grow. Variables
are named `M365GW_SECTION__KEY`; `M365GW_MAILBOX__0__TENANT` is the first `[[mailbox]]`; they win
over files.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define, field

from m365gw.config.problems import Problem

DEFAULT_PATH = "/etc/m365gw/m365gw.toml"
PATH_VARIABLE = "M365GW_CONFIG"
PREFIX = "M365GW_"
UNREADABLE = "unreadable"  # stands for a secret whose file gave none, which has been said
KeyPath = tuple[str | int, ...]
Fault = tuple[KeyPath, str, str]  # the key it is about, the fault, the remedy

_TABLE = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*("[^"]+"|'[^']+'|[A-Za-z0-9_.-]+)\s*=""")


_READABLE = "The user of the service must be able to read it."


class EnvironmentText(str):
    """A value from the environment: text that may stand for a number, a truth or a list."""


@define
class Origin:
    """Where a value was given. `folder` is what relative file names are relative to."""

    place: str
    folder: Path


@define
class Tree:
    """The merged values and the origin of each.

    `rows`: which rows of a table are here, where some of those given are not. `files`: those that
    were to be read.
    """

    values: dict[str, Any] = field(factory=dict)
    origins: dict[KeyPath, Origin] = field(factory=dict)
    problems: list[Problem] = field(factory=list)
    rows: dict[str, list[int]] = field(factory=dict)
    files: list[Path] = field(factory=list)

    def origin(self, path: KeyPath) -> Origin:
        """The origin of a value, or of the nearest table around it."""
        while path:
            if path in self.origins:
                return self.origins[path]
            path = path[:-1]
        return Origin("configuration", Path())

    def named(self, path: KeyPath) -> KeyPath:
        """A key with the number its row was given with."""
        match path:
            case (str(table), int(number), *rest) if table in self.rows:
                return (table, self.rows[table][number], *rest)
        return path


def read(config: Path, environment: Mapping[str, str], *, must_exist: bool) -> Tree:
    """Everything that was given. Unreadable files and variables become problems of the tree."""
    tree = Tree()
    tree.files = [config] if must_exist or is_there(config) else []
    tree.files += _more_files(tree, config.parent / "conf.d")
    for file in tree.files:
        _read_file(tree, file)
    for name, value in sorted(environment.items()):
        if name.startswith(PREFIX):
            _take_variable(tree, name, value)
    return tree


def is_there(file: Path) -> bool:
    """Whether there is such a file. Where one may not look it is: reading it then says why."""
    try:
        file.stat()  # not `exists`, which from Python 3.14 on says no to whatever is in the way
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _more_files(tree: Tree, folder: Path) -> list[Path]:
    """The files in `conf.d`. One that may not be looked into is a fault, not an empty one."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        tree.problems.append(Problem(str(folder), f"cannot be read: {error.strerror}", _READABLE))
        return []


def _read_file(tree: Tree, file: Path) -> None:
    try:
        text = file.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        tree.problems.append(
            Problem(
                str(file),
                f"cannot be read: {error.strerror}",
                _READABLE if isinstance(error, PermissionError) else "Name another: --config FILE",
            )
        )
    except UnicodeDecodeError:
        tree.problems.append(Problem(str(file), "is not text in UTF-8", "Save it as UTF-8."))
    except tomllib.TOMLDecodeError as error:
        remedy = "Texts stand in quotes, lists in brackets, a key once in its table."
        tree.problems.append(Problem(str(file), f"is not valid TOML: {error}", remedy))
    else:
        lines = lines_of_keys(text)
        _merge(tree, tree.values, values, (), (), file, lines)


def _merge(
    tree: Tree,
    into: dict[str, Any],
    values: Mapping[str, Any],
    path: KeyPath,
    path_in_file: KeyPath,
    file: Path,
    lines: Mapping[KeyPath, int],
) -> None:
    """Lay one file's values over the tree. `path_in_file` differs where arrays have grown."""
    for key, value in values.items():
        here, there = (*path, key), (*path_in_file, key)
        line = lines.get(there)
        tree.origins[here] = Origin(f"{file}:{line}" if line else str(file), file.parent)
        if isinstance(value, dict):
            inner = into.setdefault(key, {})
            if isinstance(inner, dict):
                _merge(tree, inner, value, here, there, file, lines)
                continue
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            rows = into.setdefault(key, [])
            if isinstance(rows, list):
                for number, item in enumerate(value):
                    row: dict[str, Any] = {}
                    rows.append(row)
                    place = (*here, len(rows) - 1)
                    line = lines.get((*there, number))
                    tree.origins[place] = Origin(
                        f"{file}:{line}" if line else str(file), file.parent
                    )
                    _merge(tree, row, item, place, (*there, number), file, lines)
                continue
        into[key] = value


def _take_variable(tree: Tree, name: str, value: str) -> None:
    """Set one value from the environment, making the tables on its way."""
    words = name[len(PREFIX) :].lower().split("__")
    path: list[str | int] = [int(word) if word.isdigit() else word for word in words]
    spot: Any = tree.values
    for here, following in zip(path, path[1:], strict=False):
        spot = _step(spot, here, [] if isinstance(following, int) else {})
    last = path[-1]
    if not isinstance(spot, dict) or not isinstance(last, str):
        fault = "does not name a setting"
        remedy = "Variables are M365GW_SECTION__KEY; rows count from 0: M365GW_CLIENT__0__LOGIN."
        tree.problems.append(Problem(f"environment  {name}", fault, remedy))
        return
    spot[last] = EnvironmentText(value)
    tree.origins[tuple(path)] = Origin(f"environment  {name}", Path.cwd())


def _step(spot: Any, here: str | int, empty: Any) -> Any:
    """The value at `here`, made when it is missing; None when there can be no such value."""
    if isinstance(spot, dict) and isinstance(here, str):
        return spot.setdefault(here, empty)
    if isinstance(spot, list) and isinstance(here, int) and here <= len(spot):
        if here == len(spot):
            spot.append(empty)
        return spot[here]
    return None


def lines_of_keys(text: str) -> dict[KeyPath, int]:
    """The line of each key and table of a TOML text; what cannot be found is left out."""
    lines: dict[KeyPath, int] = {}
    rows: dict[KeyPath, int] = {}  # the row that each array of tables has come to
    table: KeyPath = ()
    for number, line in enumerate(text.split("\n"), 1):
        if match := _TABLE.match(line):
            *around, last = (part.strip(" \"'") for part in match.group(2).split("."))
            table = ()
            for part in around:  # a table inside an array belongs to the array's last row
                table = (*table, part)
                if table in rows:
                    table = (*table, rows[table])
            table = (*table, last)
            if match.group(1) == "[[":
                rows[table] = rows.get(table, -1) + 1
                lines.setdefault(table, number)
                table = (*table, rows[table])
            lines.setdefault(table, number)
        elif match := _KEY.match(line):
            lines.setdefault((*table, match.group(1).strip("\"'")), number)
    return lines
