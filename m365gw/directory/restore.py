"""Putting a backup back: built beside what is there, then put in its place.

In SQLite all of it is one step: everything lies whole and durable in `state_dir/restored` before
anything is moved, and a move that was cut off goes on at the next start of the service or restore.
In PostgreSQL the tables are one transaction, before the keys; cut off in between, restore again.
What was there is kept in `state_dir/before-restore`.

Failures: `BackupError`, `DirectoryError`, OSError; then what was there is still there.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, Integer, MetaData, Table, insert, text

from m365gw.directory import migrating
from m365gw.directory.backup import FOLDERS, Backup, BackupError
from m365gw.directory.database import LAST_KNOWN, Database
from m365gw.directory.private_files import sync_folder, write_private
from m365gw.directory.sqlite import FILE

_BUILDING = ".restoring"
READY = "restored"
BEFORE = "before-restore"
_REPLACED = (LAST_KNOWN, f"{FILE}-wal", f"{FILE}-shm", FILE, *FOLDERS)


def is_in_use(url: str, state_dir: str) -> bool:
    """Whether there is something that a restore would replace. Raises `DirectoryError`."""
    if any(Path(state_dir, name).exists() for name in (FILE, "keys")):
        return True
    return bool(url) and not Database(url, state_dir).is_empty()


def put_back(backup: Backup, url: str, state_dir: str) -> None:
    """Make the gateway what it was when the backup was made. It must not run."""
    finish(state_dir)  # what was cut off before counts as what is there
    root = Path(state_dir)
    building = root / _BUILDING
    for folder in (building, root / BEFORE):
        shutil.rmtree(folder, ignore_errors=True)
    building.mkdir(mode=0o700, parents=True)
    for name, octets in backup.state.items():
        path = building / name
        if not path.resolve().is_relative_to(building.resolve()):
            raise BackupError(f"The backup names a file outside of state_dir: {name}")
        write_private(path, octets)
    database = Database(url, str(building))
    with database.replacing() as connection:
        _fill(connection, backup)
    database.close()
    _sync(building)
    os.rename(building, root / READY)
    finish(state_dir)


def finish(state_dir: str) -> bool:
    """Put in place what lies ready, if something does. Says whether it did. Raises OSError."""
    root = Path(state_dir)
    ready, before = root / READY, root / BEFORE
    if not ready.exists():
        return False
    before.mkdir(mode=0o700, exist_ok=True)
    for name in _REPLACED:
        # Before `ready` has given its own, what is there is old; afterwards it is the new one.
        is_moved = name in FOLDERS or name == FILE
        if (root / name).exists() and (not is_moved or (ready / name).exists()):
            os.rename(root / name, before / name)
        if (ready / name).exists():
            os.rename(ready / name, root / name)
        sync_folder(root)
    shutil.rmtree(ready)
    with suppress(OSError):
        before.rmdir()  # nothing was there
    return True


def _fill(connection: Connection, backup: Backup) -> None:
    """The tables as they were then, brought up to date."""
    try:
        migrating.migrate(connection, backup.revision)
    except migrating.TooNew as error:
        raise BackupError(
            f"The backup was made by m365gw {backup.version}, which is newer than this one. {error}"
        ) from None
    then = MetaData()
    then.reflect(connection)
    for table in then.sorted_tables:
        rows = backup.tables.get(table.name)
        if rows is None:
            continue  # Alembic's own
        connection.execute(table.delete())
        if rows:
            connection.execute(insert(table), rows)
        if connection.dialect.name == "postgresql":
            _count_on(connection, table)
    migrating.migrate(connection)


def _count_on(connection: Connection, table: Table) -> None:
    """Numbers that PostgreSQL gives go on behind those that were restored."""
    for column in table.primary_key:
        if isinstance(column.type, Integer):
            connection.execute(
                text(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'),"
                    f" coalesce(max({column.name}), 0) + 1, false) FROM {table.name}"
                )
            )


def _sync(folder: Path) -> None:
    """Make a folder durable, with all that is in it."""
    for path in (folder, *folder.rglob("*")):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
