"""What several listeners would do to a message alike, told once: as commands and pages show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def together(said: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `inquiry.inquire`, each with the `names` of all listeners that it is true of.

    A reply may name its listener; that makes no other reply of it.
    """
    alike: dict[str, dict[str, Any]] = {}
    for one in said:
        name = one["listener"]
        refusals = [
            {**each, "reply": each["reply"].replace(f'listener "{name}"', "the listener")}
            for each in one["refusals"]
        ]
        row = {**one, "refusals": refusals}
        first = alike.setdefault(repr({**row, "listener": ""}), {**row, "names": []})
        first["names"].append(name)
    return list(alike.values())
