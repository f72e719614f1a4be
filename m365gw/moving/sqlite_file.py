"""Rows of somebody else's SQLite database, which is neither opened where it lies nor changed.

The database and its write-ahead log, where the newest rows may be, are copied into a folder only we
can read, looked at there, and removed.

Failures: `Unusable`, in words.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from typing import Any


class Unusable(Exception):
    """It is no database, is damaged, or lacks what is asked for."""


def rows_of(database: bytes, log: bytes | None, query: str) -> Sequence[tuple[Any, ...]]:
    """What the query gives; text that is no UTF-8 comes with its faulty octets replaced."""
    with tempfile.TemporaryDirectory(prefix="m365gw-import-") as folder:
        path = os.path.join(folder, "copy.db")
        for name, octets in ((path, database), (path + "-wal", log)):
            if octets is not None:
                with open(name, "wb", opener=_private) as file:
                    file.write(octets)
        try:
            with closing(sqlite3.connect(path)) as connection:
                connection.text_factory = lambda octets: octets.decode("utf-8", "replace")
                return connection.execute(query).fetchall()
        except sqlite3.OperationalError as error:
            raise Unusable(f"is not the database it should be: {error}") from None
        except sqlite3.Error:
            raise Unusable("is no SQLite database, or a damaged one") from None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL, 0o600)
