"""What a backup holds: all that a gateway is, but for its mail.

The tables as they are at one moment, the keys and certificates of state_dir, and the files of the
configuration. From SQLite or PostgreSQL it is the same, so it also moves a gateway from one to the
other. Mail is not in it: what was sent since would be sent again. A spool is moved as a folder, or
message by message (`m365gw queue adopt`).

Failures: `BackupError` for what is no backup, or one of a newer version; `DirectoryError`, OSError.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import attrs
from attrs import frozen
from sqlalchemy import select

from m365gw import __version__
from m365gw.config.fields import FileName
from m365gw.directory.database import Database
from m365gw.directory.schema import REVISION, metadata

FOLDERS = ("keys", "tls")  # of state_dir
_TRIES = 5

Rows = list[dict[str, Any]]


class BackupError(Exception):
    """The backup cannot be made or used. The text is for the operator."""


@frozen
class Backup:
    """One backup, opened."""

    made_at: float  # seconds since 1970
    version: str  # of the m365gw that made it
    revision: str  # of its tables
    tables: dict[str, Rows]
    state: dict[str, bytes]  # by path in state_dir
    configuration: dict[str, bytes]  # by path in the folder of the configuration

    def octets(self) -> bytes:
        """All of it, unsealed."""
        return json.dumps(
            {
                "made_at": self.made_at,
                "version": self.version,
                "revision": self.revision,
                "tables": {
                    name: [{key: _plain(value) for key, value in row.items()} for row in rows]
                    for name, rows in self.tables.items()
                },
                "state": {name: _plain(octets) for name, octets in self.state.items()},
                "configuration": {
                    name: _plain(octets) for name, octets in self.configuration.items()
                },
            }
        ).encode()


def make(database: Database, state_dir: str, config: Path, named: Iterable[Path]) -> Backup:
    """A backup of a gateway, which may run. `named` are files its configuration `config` names;
    those outside of its folder are left out.
    """
    for _ in range(_TRIES):
        before = _files(Path(state_dir), FOLDERS)
        tables = _tables(database)
        if _files(Path(state_dir), FOLDERS) == before:  # else keys and secrets may not belong
            break
    else:
        raise BackupError("The keys change all the time. Is m365gw keys rotate running?")
    wanted = [config, *sorted((config.parent / "conf.d").glob("*.toml")), *named]
    inside = {path: name for path in wanted if (name := _name_in(config.parent, path))}
    return Backup(
        time.time(),
        __version__,
        REVISION,
        tables,
        before,
        {name: path.read_bytes() for path, name in inside.items() if path.is_file()},
    )


def _name_in(folder: Path, path: Path) -> str:
    """The name of a file in a folder, as it is given; "" for one that is, or leads, outside.

    A file may be a link to another one of the folder, as Kubernetes mounts a configuration.
    """
    real, root = path.resolve(), folder.resolve()
    if not real.is_relative_to(root):
        return ""
    given = path.parent.resolve() / path.name
    return str((given if given.is_relative_to(root) else real).relative_to(root))


def named_files(value: Any) -> Iterator[Path]:
    """Every file that the settings name, whether it is there or not."""
    if isinstance(value, tuple):
        for each in value:
            yield from named_files(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from named_files(each)
    elif attrs.has(type(value)):
        for name, kind in get_type_hints(type(value), include_extras=True).items():
            inner = getattr(value, name)
            if kind != FileName:
                yield from named_files(inner)
            elif inner:
                yield Path(inner)


def read(octets: bytes) -> Backup:
    """The backup in what `Backup.octets` gave. Raises `BackupError`."""
    try:
        said = json.loads(octets)
        return Backup(
            float(said["made_at"]),
            str(said["version"]),
            str(said["revision"]),
            {
                name: [{key: _octets(value) for key, value in row.items()} for row in rows]
                for name, rows in said["tables"].items()
            },
            {name: _octets(value) for name, value in said["state"].items()},
            {name: _octets(value) for name, value in said["configuration"].items()},
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        raise BackupError("The backup opened, but what is in it cannot be understood.") from None


def _tables(database: Database) -> dict[str, Rows]:
    with database.reading() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for table in metadata.sorted_tables
        }


def _files(root: Path, folders: Iterable[str]) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for folder in folders
        for path in sorted((root / folder).rglob("*"))
        if path.is_file()
    }


def _plain(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _octets(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value
