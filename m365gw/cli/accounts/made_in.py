"""Where an entry was made, in words: in the configuration, where it is changed too, or elsewhere.

Rows are those of the registry: `origin`, `place` ("/etc/m365gw/m365gw.toml:7") and `made_by`
("console: anna", "root[812]").
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

Row = dict[str, Any]

# How `made_by` begins, and what that is; a command has the name of its user only.
_WAYS = (
    ("console: ", "the console", "console"),
    ("self-service ", "the self-service page", "self-service"),
    ("token ", "the API", "API"),
    ("", "a command", "command"),
)


def made_in(row: Row) -> str:
    """In full: at which line of the configuration, or by whom."""
    if row["origin"] == "file":
        return f"the configuration (locked): {row['place'] or 'its file'}"
    maker = str(row.get("made_by") or "")
    start, words = next((start, words) for start, words, _ in _WAYS if maker.startswith(start))
    return f"{words}, by {maker.removeprefix(start)}" if maker else "a command or the console"


def made_in_column(row: Row) -> str:
    """For the last column of a list: "m365gw.toml:7", "console"."""
    if row["origin"] == "file":
        return _short(row.get("place") or "the configuration")
    maker = str(row.get("made_by") or "")
    return next(short for start, _, short in _WAYS if maker.startswith(start))


def _short(place: str) -> str:
    """A place without the folder that all files of the configuration are in."""
    path = PurePath(place)
    if path.parent.name == "conf.d":
        return f"conf.d/{path.name}"
    return path.name if path.is_absolute() else place
