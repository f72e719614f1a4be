"""The database of the directory: short transactions, and every failure in words.

It is SQLite in state_dir, or PostgreSQL by `[directory] url`; the rooms above see no difference.
The first transaction makes the tables, or brings those of an older version up to date. A database
that cannot be reached then is tried again by the next.

Calls block, for seconds where the database hangs: the service makes them in threads. Failures:
`DirectoryError` only, and the transaction has then done nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from sqlalchemy import Connection, Table, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from m365gw.directory import migrating, postgresql, sqlite
from m365gw.directory.schema import metadata, revision

LAST_KNOWN = "last-known-entries"  # in state_dir: what `snapshot` keeps


class DirectoryError(Exception):
    """The database, or what is in it, cannot be used. The text is for the operator."""


class Database:
    """The database of one gateway. May be used by many threads, and beside other processes."""

    def __init__(self, url: str, state_dir: str) -> None:
        """Nothing is opened yet. Raises `DirectoryError` for a url that can be none."""
        self._url = url
        self._file = Path(state_dir, sqlite.FILE)
        self._witness = Path(state_dir, LAST_KNOWN)
        self._preparing = Lock()
        self._is_ready = False
        try:
            self._connections = postgresql.connect(url) if url else sqlite.connect(self._file)
        except ValueError as error:
            raise DirectoryError(str(error)) from None

    @classmethod
    def open(cls, url: str, state_dir: str) -> Database:
        """The database, reached and up to date. Raises `DirectoryError`."""
        made = cls(url, state_dir)
        made.prepare()
        return made

    def prepare(self) -> None:
        """Make the tables or bring them up to date, once. Raises `DirectoryError`."""
        with self._preparing:
            if not self._is_ready:
                self._make_file()
                with self._told(), self._connections.connect() as connection:
                    _migrate(connection)
                self._is_ready = True

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one moment of the database and changes nothing."""
        self.prepare()
        with self._told(), self._connections.connect() as connection:
            if self._url:
                connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is durable when the block ends, and has done nothing if it raises."""
        self.prepare()
        with self._told(), self._connections.connect() as connection:
            connection.execution_options(is_writing=True)
            with connection.begin():
                yield connection

    def is_empty(self) -> bool:
        """Whether nothing is kept in it. Raises `DirectoryError`."""
        with self.reading() as connection:
            return not any(
                connection.execute(select(table).limit(1)).first()
                for table in metadata.sorted_tables
                if table is not revision
            )

    @contextmanager
    def replacing(self) -> Iterator[Connection]:
        """A transaction in which there are no tables: whoever restores makes them anew."""
        self._make_file()
        with self._told(), self._connections.connect() as connection:
            connection.execution_options(is_writing=True)
            with connection.begin():
                migrating.remove_all(connection)
                yield connection

    def server_time(self) -> float | None:
        """Seconds since 1970 by the clock of the database's server; None where it is our own."""
        if not self._url:
            return None
        with self.reading() as connection:
            asked = text("SELECT extract(epoch FROM clock_timestamp())")
            return float(connection.execute(asked).scalar_one())

    def close(self) -> None:
        """Let go of all connections."""
        self._connections.dispose()

    def _make_file(self) -> None:
        if self._url:
            return
        try:
            is_missing = not self._file.exists() or not self._file.stat().st_size
            if is_missing and self._witness.exists():
                raise DirectoryError(
                    f"There was a database in {self._file}, and there is none now. Stop the service"
                    " and restore a backup (m365gw restore FILE); to begin anew without what was"
                    f" in it, delete {self._witness}."
                )
            sqlite.make_file(self._file)
        except (OSError, sqlite3.Error) as error:
            raise DirectoryError(sqlite.words(self._file, error)) from None

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Says in words what the database raises, and nothing of what it was asked."""
        try:
            yield
        except SQLAlchemyError as error:
            problem = error.orig if isinstance(error, DBAPIError) else error
            said = (
                postgresql.words(self._url, problem)
                if self._url
                else sqlite.words(self._file, problem)
            )
            raise DirectoryError(said) from None


def lock(connection: Connection, table: Table) -> None:
    """Until this transaction ends, others that want to lock the table wait.

    In SQLite whoever writes has the whole database anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE")


def _migrate(connection: Connection) -> None:
    with connection.begin():
        if migrating.is_up_to_date(connection):
            return
    with connection.execution_options(is_writing=True).begin():
        try:
            migrating.migrate(connection)
        except migrating.TooNew as error:
            raise DirectoryError(str(error)) from None
