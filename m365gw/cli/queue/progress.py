"""Progress of what may take long: a count on standard error, when that is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import click

T = TypeVar("T")

FIRST = 1.0  # seconds before anything is said: what is quick needs no progress
EVERY = 0.2  # seconds


def counting(things: Iterable[T], words: str) -> Iterator[T]:
    """The same things; meanwhile "1,200 WORDS" stands on the terminal."""
    if not sys.stderr.isatty():
        yield from things
        return
    due = time.monotonic() + FIRST
    shown = ""
    try:
        for count, thing in enumerate(things, 1):
            if time.monotonic() >= due:
                due = time.monotonic() + EVERY
                shown = f"{count:,} {words}"
                click.echo(f"\r{shown}", err=True, nl=False)
            yield thing
    finally:
        if shown:
            click.echo("\r" + " " * len(shown) + "\r", err=True, nl=False)
