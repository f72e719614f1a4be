"""The sound part of a configuration, so that faults of form and of meaning are told at once.

What is malformed is taken out: a row of a table of which there may be several, else the whole
table. What is left is checked for its meaning; a fault there is certain unless its check has looked
at a table of which something is missing, as the fault may come from that alone. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs
from attrs import frozen

from m365gw.config.settings import Settings
from m365gw.config.sources import KeyPath, Tree

# Of which table, which key ("": any), which other tables its checks look at.
_LOOKS_AT: Final = (
    ("mailbox", "", {"cloud", "sign_in"}),
    ("client", "mailbox", {"mailbox"}),
    ("network", "mailbox", {"mailbox"}),
    ("local", "mailbox", {"mailbox"}),
    ("queue", "report_from", {"mailbox"}),
    ("alerts", "mail_from", {"mailbox"}),
    ("sign_in", "", {"cloud", "self_service"}),
    ("web", "", {"sign_in"}),
    ("self_service", "", {"web", "sign_in"}),
)


@frozen
class Sound:
    """What is well-formed. `damaged` tables lack something, `lost` ones all they had."""

    tree: Tree
    damaged: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()

    def is_certain(self, path: KeyPath) -> bool:
        """Whether a fault of this key is one whatever was taken out."""
        if path[0] in self.lost:
            return False
        return not any(
            path[0] == table and key in ("", path[-1]) and others & self.damaged
            for table, key, others in _LOOKS_AT
        )


def sound_part(tree: Tree, malformed: Iterable[KeyPath]) -> Sound:
    """The part of a tree that is left without what is malformed."""
    places = {path[:2] if _is_row(path) else path[:1] for path in malformed}
    if not places:
        return Sound(tree)
    known = {each.name for each in attrs.fields(Settings)}
    damaged = {str(path[0]) for path in places}
    if any(isinstance(tree.values.get(table), dict | list) for table in damaged - known):
        damaged |= known  # a table nobody knows was meant as any of them
    lost = {str(path[0]) for path in places if len(path) == 1}
    return Sound(_without(tree, places), frozenset(damaged), frozenset(lost))


def _is_row(path: KeyPath) -> bool:
    return len(path) > 1 and isinstance(path[1], int)


def _without(tree: Tree, places: set[KeyPath]) -> Tree:
    part = Tree()
    place_of: dict[KeyPath, int] = {}  # of rows that stay: where they are now
    for table, value in tree.values.items():
        if (table,) in places:
            continue
        part.values[table] = value
        if isinstance(value, list):
            stay = [number for number in range(len(value)) if (table, number) not in places]
            part.rows[table] = stay
            part.values[table] = [value[number] for number in stay]
            place_of |= {(table, number): place for place, number in enumerate(stay)}
    for path, origin in tree.origins.items():
        row = path[:2]
        if not _is_row(path):
            part.origins[path] = origin
        elif row in place_of:
            part.origins[path[0], place_of[row], *path[2:]] = origin
    return part
