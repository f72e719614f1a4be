"""System calls that fail when a test says so: the process dies, or the call gives an error."""

from __future__ import annotations

import os
from typing import Any

from m365gw.spool.files import Files

COMPOUND = {"write_all", "sync_all"}  # made of other calls
CALLS = frozenset(name for name in vars(Files) if not name.startswith("_")) - COMPOUND


class Died(BaseException):
    """The process was killed here. Not an Exception: nothing may live through it."""


class FaultyFiles(Files):
    """Another layer's calls, of which one fails.

    `dies_after`: that many calls are made, then the process is dead: every further call raises
    Died and does nothing. `fails_at`: the call of this number, from 1, gives error number `error`
    instead of being made, and so does each later one when it `persists`. `only`: calls of other
    names are made and not counted. `begin` starts counting anew.
    """

    def __init__(
        self,
        files: Files,
        *,
        dies_after: int | None = None,
        fails_at: int | None = None,
        error: int = 0,
        persists: bool = False,
        only: frozenset[str] = CALLS,
    ) -> None:
        self._files = files
        self._dies_after = dies_after
        self._fails_at = fails_at
        self._error = error
        self._persists = persists
        self._only = only
        self.made: list[str] = []  # names of the calls that count
        self.failed: list[str] = []
        self.armed = False  # calls before `begin` are all made

    def begin(self) -> None:
        """Count calls from here."""
        self.made.clear()
        self.armed = True

    def __getattribute__(self, name: str) -> Any:
        if name not in CALLS:
            if name == "root":
                return self._files.root
            return object.__getattribute__(self, name)
        return lambda *arguments, **named: self._call(name, arguments, named)

    def _call(self, name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if self.armed and name in self._only:
            self.made.append(name)
            number = len(self.made)
            if self._dies_after is not None and number > self._dies_after:
                raise Died(name)
            if self._fails_at is not None and (
                number == self._fails_at or (self._persists and number > self._fails_at)
            ):
                self.failed.append(name)
                raise OSError(self._error, os.strerror(self._error))
        return getattr(self._files, name)(*arguments, **named)
