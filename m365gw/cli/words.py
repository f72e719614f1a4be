"""Lines printed on a terminal; how times, sizes and text from outside read is in `m365gw.words`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import click

from m365gw.microsoft.actors import actor
from m365gw.words import counted, escaped, moment, short_span, size, span

__all__ = ["counted", "escaped", "moment", "printed", "short_span", "size", "span", "to_do"]


def printed(lines: Iterable[str]) -> None:
    """Print each line as soon as it is known; letters the terminal does not know are escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    for line in lines:
        click.echo(line.encode(encoding, "backslashreplace"))


def to_do(told: Mapping[str, Any]) -> str:
    """What to do and who must do it, of a diagnosis as JSON shows it."""
    return f"To do ({actor(told['who'])}): {told['fix']}"
