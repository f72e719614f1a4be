"""SQLite, the database where none is named: one file in state_dir, which is ours alone.

A commit is on disk when it returns (WAL, synchronous=FULL), and what is deleted is overwritten.
Each transaction has a connection of its own: one costs little, and a file that was removed,
replaced or restored is noticed by the next.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

FILE = "state.db"  # in state_dir
BUSY = 5.0  # seconds a transaction waits for another

_WORDS = {
    "SQLITE_BUSY": "another program has kept it locked for seconds. Is it copied or looked at?",
    "SQLITE_READONLY": "it cannot be written. Is the disk mounted read-only, or the file not ours?",
    "SQLITE_FULL": "its disk is full. Make room.",
    "SQLITE_CANTOPEN": "it cannot be opened. Is it there, and its disk mounted?",
    "SQLITE_CORRUPT": "it is damaged. Stop the service and restore a backup: m365gw restore FILE",
    "SQLITE_NOTADB": "it is damaged. Stop the service and restore a backup: m365gw restore FILE",
    "SQLITE_IOERR": "the disk fails. Look at it (dmesg, smartctl, df -h).",
}


def connect(path: Path) -> Engine:
    """The database in a file. Nothing is opened yet, and no file is made by connecting."""

    def opened() -> sqlite3.Connection:
        connection = _opened(path)
        for pragma in ("foreign_keys = ON", "synchronous = FULL", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    made = create_engine("sqlite://", creator=opened, poolclass=NullPool, hide_parameters=True)
    event.listen(made, "begin", _begin)
    return made


def make_file(path: Path) -> None:
    """Make the file when it is missing, for its owner only. Raises OSError, sqlite3.Error."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    if not path.stat().st_size:
        with closing(_opened(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")  # the file remembers it


def words(path: Path, problem: Any) -> str:
    """Why the database cannot be used, and what to do."""
    if isinstance(problem, OSError):
        return f"The database {path}: {problem.strerror}."
    name = str(getattr(problem, "sqlite_errorname", ""))
    for known, said in _WORDS.items():
        if name.startswith(known):
            return f"The database {path}: {said}"
    return f"The database {path} cannot be used: {problem}."


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw",
        uri=True,
        timeout=BUSY,
        isolation_level=None,  # `_begin` says where transactions begin
        check_same_thread=False,
    )


def _begin(connection: Connection) -> None:
    """Who will write has the database at once, so that no two wait for each other."""
    is_writing = connection.get_execution_options().get("is_writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")
