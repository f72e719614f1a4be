"""Values in PowerShell text: quoted so that none can end its quotes and become a command.

PowerShell takes five letters for a single quote; each of them is doubled inside a single-quoted
string (about_Quoting_Rules). Control characters have no business in a name of ours: a line that
somebody copies would break at them, so they are refused.

Pure. Failures: ValueError.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

_QUOTES: Final = re.compile("(['\u2018\u2019\u201a\u201b])")


def literal(value: str) -> str:
    """A single-quoted string that is exactly this value. ValueError for control characters."""
    if not value.isprintable():
        raise ValueError(f"{value!r} cannot stand in a PowerShell line")
    return "'" + _QUOTES.sub(r"\1\1", value) + "'"


def array(values: Iterable[str]) -> str:
    """An array of strings: `@('a', 'b')`."""
    return f"@({', '.join(literal(value) for value in values)})"


def filled(template: str, names: Mapping[str, str]) -> str:
    """The template with each <name> as a literal; what cannot stand there becomes `?`.

    Names that are empty stay as they are, for the reader to fill in.
    """

    def value(match: re.Match[str]) -> str:
        name = names.get(match[1], "")
        printable = "".join(one if one.isprintable() else "?" for one in name)
        return literal(printable) if name else match[0]

    return re.sub(r"<([a-z ]+)>", value, template)
