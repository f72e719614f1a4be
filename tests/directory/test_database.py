"""The database: made, brought up to date, shared, and honest about what keeps it from working."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path
from threading import Thread
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, select, text

from m365gw.directory import migrating, sqlite
from m365gw.directory.database import LAST_KNOWN, Database, DirectoryError, lock
from m365gw.directory.schema import REVISION, metadata, revision, sealed
from tests.directory.databases import DatabaseTestCase, OnPostgresql

ROW = {"name": "a", "secret": b"b", "changed_at": 1.0}


class DatabaseTests(DatabaseTestCase):
    """What holds of both databases."""

    def names(self) -> list[str]:
        with self.opened().reading() as connection:
            return list(connection.execute(select(sealed.c.name)).scalars())

    def assert_tables_are_those_of_the_schema(self) -> None:
        with self.opened().reading() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            self.assertEqual(compare_metadata(context, metadata), [])
            self.assertEqual(migrating.revision_of(connection), REVISION)
            self.assertEqual(connection.execute(select(revision.c.number)).scalars().all(), [0])

    def test_the_revisions_make_the_tables(self) -> None:
        """What Alembic makes, one revision after another, is what `schema` says."""
        self.database.prepare()
        with self.database.replacing() as connection:
            migrating.migrate(connection, "0001")
            migrating.migrate(connection)
        self.assert_tables_are_those_of_the_schema()

    def test_new_tables_are_those_of_the_schema(self) -> None:
        """Where there were none they are made at once, and Alembic finds them up to date."""
        self.database.prepare()
        self.assert_tables_are_those_of_the_schema()

    def test_the_revision_of_the_schema_is_the_last(self) -> None:
        """Whoever adds a revision says so in `schema`."""
        config = Config()
        config.set_main_option("script_location", str(migrating._FOLDER))
        self.assertEqual(ScriptDirectory.from_config(config).get_current_head(), REVISION)

    def test_a_transaction_is_kept_whole_or_not_at_all(self) -> None:
        """What a block writes is there when it has ended, and not when it raised."""
        with self.assertRaises(ZeroDivisionError), self.database.writing() as connection:
            connection.execute(insert(sealed).values(ROW))
            raise ZeroDivisionError
        self.assertEqual(self.names(), [])
        with self.database.writing() as connection:
            connection.execute(insert(sealed).values(ROW))
        self.assertEqual(self.names(), ["a"])

    def test_whoever_locks_waits_for_the_other(self) -> None:
        """Two that read and then write do so one after the other."""
        taken: list[int] = []

        def take() -> None:
            with self.database.writing() as connection:
                lock(connection, sealed)
                found = len(connection.execute(select(sealed.c.name)).all())
                taken.append(found)
                connection.execute(insert(sealed).values({**ROW, "name": str(found)}))

        threads = [Thread(target=take) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(taken), [0, 1, 2, 3, 4, 5])

    def test_many_open_it_at_the_same_time(self) -> None:
        """One of them makes the tables, and the others find them."""
        self.url, self.state_dir = self.new_url(), self.mktemp()
        failures: list[Exception] = []

        def open_it() -> None:
            try:
                self.opened()
            except Exception as error:
                failures.append(error)

        threads = [Thread(target=open_it) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(self.names(), [])

    def test_tables_of_a_newer_version(self) -> None:
        """An old program leaves them alone, and says who made them."""
        with self.database.writing() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        error = self.assertRaises(DirectoryError, self.opened)
        self.assertIn("revision 9999, which a newer version has made", str(error))

    def test_what_was_asked_stands_in_no_error(self) -> None:
        """Neither statement nor values: they may be secrets."""
        with (
            self.assertRaises(DirectoryError) as caught,
            self.database.writing() as connection,
        ):
            connection.execute(insert(sealed).values({**ROW, "name": None, "secret": b"s3cret"}))
        self.assertNotIn("s3cret", str(caught.exception))
        self.assertNotIn("INSERT", str(caught.exception))


class DatabaseOnPostgresqlTests(OnPostgresql, DatabaseTests):
    """The same on PostgreSQL."""

    def test_a_server_that_is_not_there(self) -> None:
        """It is named, and no password with it; it is tried again by the next."""
        url = "postgresql://gateway:s3cret@/x?host=/nowhere&password=other"
        database = Database(url, self.state_dir)
        error = self.assertRaises(DirectoryError, database.prepare)
        self.assertIn("The PostgreSQL database x on /nowhere cannot be used", str(error))
        self.assertNotIn("s3cret", str(error))


class SqliteFileTests(DatabaseTestCase):
    """The file, and what may happen to it."""

    def setUp(self) -> None:
        super().setUp()
        self.file = Path(self.state_dir, "state.db")

    def said(self) -> str:
        """What a reader is told."""
        with self.assertRaises(DirectoryError) as caught, self.database.reading() as connection:
            connection.execute(select(sealed.c.name)).all()
        return str(caught.exception)

    def test_is_private_and_durable(self) -> None:
        """All its files are its owner's only; a commit is synced, what is deleted overwritten."""
        with self.database.writing() as connection:
            connection.execute(insert(sealed).values(ROW))
            for file in Path(self.state_dir).iterdir():
                self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600, file)
            asked = ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
            found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]
        self.assertEqual(found, ["wal", 2, 1, 1])

    def test_removed(self) -> None:
        """No empty one takes its place while the service runs."""
        self.file.unlink()
        self.assertIn("cannot be opened. Is it there", self.said())
        self.assertFalse(self.file.exists())

    def test_gone_at_a_start(self) -> None:
        """Where one has been none is made anew, not even in the place of an empty file."""
        Path(self.state_dir, LAST_KNOWN).touch()
        self.file.write_bytes(b"")
        error = self.assertRaises(DirectoryError, self.opened)
        self.assertIn("restore a backup", str(error))

    def test_damaged(self) -> None:
        """What is no database is left alone."""
        self.file.write_bytes(b"rubbish " * 1000)
        self.assertIn("is damaged", self.said())
        self.assertIn("is damaged", str(self.assertRaises(DirectoryError, self.opened)))

    def test_locked_by_another_program(self) -> None:
        """It is waited for, for seconds, and then said."""
        other = self.opened()
        self.patch(sqlite, "BUSY", 0.05)
        with other.writing(), self.assertRaises(DirectoryError) as caught, self.database.writing():
            pass
        self.assertIn("locked for seconds", str(caught.exception))

    def test_a_disk_that_takes_nothing(self) -> None:
        """The folder where the file should be is none."""
        self.state_dir = self.mktemp()
        Path(self.state_dir).write_text("no folder")
        self.assertIn("File exists", str(self.assertRaises(DirectoryError, self.opened)))

    def test_a_disk_that_is_read_only(self) -> None:
        """What is there can be read; writing says why not, and what to look at."""
        connect = sqlite3.connect

        def read_only(name: str, **how: Any) -> sqlite3.Connection:
            opened: sqlite3.Connection = connect(name.replace("mode=rw", "mode=ro"), **how)
            return opened

        self.patch(sqlite3, "connect", read_only)
        self.assertEqual(self.names(), [])
        self.assertIn("mounted read-only", self.refused())

    def test_a_disk_that_is_full(self) -> None:
        """It is said, and what was there before is there."""
        connect = sqlite3.connect

        def full(*name: str, **how: Any) -> sqlite3.Connection:
            opened: sqlite3.Connection = connect(*name, **how)
            opened.execute("PRAGMA max_page_count = 1")
            return opened

        self.patch(sqlite3, "connect", full)
        self.assertIn("its disk is full", self.refused(b"x" * 100_000))
        self.assertEqual(self.names(), [])

    def names(self) -> list[str]:
        with self.database.reading() as connection:
            return list(connection.execute(select(sealed.c.name)).scalars())

    def refused(self, secret: bytes = b"") -> str:
        """What a writer is told."""
        with self.assertRaises(DirectoryError) as caught, self.database.writing() as connection:
            connection.execute(insert(sealed).values({**ROW, "secret": secret}))
        return str(caught.exception)
