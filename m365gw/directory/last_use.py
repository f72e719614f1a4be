"""When each password was last used, and from where: noted in memory, written now and then.

A password is known by a digest of its stored hash, so that nothing here tells of it. What is known
is a help for whoever changes passwords, never a condition of a login.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from attrs import asdict, frozen
from sqlalchemy import Connection, and_, delete, insert, select

from m365gw.directory import schema
from m365gw.directory.database import Database


@frozen
class Use:
    """The last login by one password. `at` is in seconds since the epoch."""

    login: str
    password: str  # `fingerprint` of the stored hash
    at: float
    address: str  # "" for a Unix socket


def fingerprint(stored: str) -> str:
    """What a stored hash is known by, where the hash itself should not be shown."""
    return hashlib.sha256(stored.encode()).hexdigest()[:16]


class LastUse:
    """The last use of every password."""

    def __init__(self, uses: Iterable[Use] = ()) -> None:
        self._uses = {(use.login, use.password): use for use in uses}
        self._unwritten: dict[tuple[str, str], Use] = {}

    def __iter__(self) -> Iterator[Use]:
        return iter(self._uses.values())

    def note(self, login: str, stored: str, address: str, now: float) -> None:
        """A login by this password has succeeded."""
        use = Use(login, fingerprint(stored), now, address)
        self._uses[login, use.password] = self._unwritten[login, use.password] = use

    def of(self, login: str, stored: str) -> Use | None:
        """The last use of a password, if it is known."""
        return self._uses.get((login, fingerprint(stored)))

    def unwritten(self) -> list[Use]:
        """What was noted and is not known to be written."""
        return list(self._unwritten.values())

    def written(self, uses: Iterable[Use]) -> None:
        """These are; what was noted meanwhile is not."""
        for use in uses:
            if self._unwritten.get((use.login, use.password)) is use:
                del self._unwritten[use.login, use.password]


def read_uses(database: Database) -> list[Use]:
    """What was written by this or another process. Raises `DirectoryError`."""
    with database.reading() as connection:
        rows = connection.execute(select(schema.last_use)).all()
    return [Use(row.login, row.password, row.at, row.address) for row in rows]


def write_uses(database: Database, uses: Sequence[Use]) -> None:
    """Write them down, durably. Raises `DirectoryError`."""
    with database.writing() as connection:
        for use in uses:
            _write(connection, use)


def _write(connection: Connection, use: Use) -> None:
    columns = schema.last_use.c
    here = and_(columns.login == use.login, columns.password == use.password)
    connection.execute(delete(schema.last_use).where(here))
    connection.execute(insert(schema.last_use).values(asdict(use)))
