"""New passwords for logins whose old one cannot be kept: in a file only its owner can read.

The file is made before anything is changed, as it could not be afterwards, and holds a line for
each login that was made: login, tab, password. Ends the command with 73 when it cannot be made.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final

from m365gw.cli.accounts import options
from m365gw.directory import passwords

EX_CANTCREAT: Final = 73


class Chest:
    """Makes passwords, and writes down those that count. Without a file it makes none."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._made: dict[str, str] = {}
        self._is_kept = False

    def __enter__(self) -> Chest:
        if self._file is not None:
            try:
                os.close(os.open(self._file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            except OSError as error:
                options.end(EX_CANTCREAT, f"{self._file} cannot be made: {error.strerror}.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._file is not None and not self._is_kept:
            self._file.unlink()

    def make(self, login: str) -> str:
        """The hash of a new password for a login."""
        self._made[login], stored = passwords.generate()
        return stored

    def keep(self, names: Iterable[str]) -> None:
        """Write down the passwords of these logins; without any there is no file."""
        there = set(names)
        lines = [f"{login}\t{made}\n" for login, made in self._made.items() if login in there]
        if self._file is not None and lines:
            with open(self._file, "w", encoding="utf-8") as stream:
                stream.writelines(lines)
                stream.flush()
                os.fsync(stream.fileno())
            self._is_kept = True
