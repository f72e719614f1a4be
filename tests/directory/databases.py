"""The databases tests run against: SQLite, and a real PostgreSQL server of their own.

The server is started when the first test wants it: in a temporary folder, on a socket there and no
port, as another user where the tests run as root, which PostgreSQL refuses. Each test has a
database of its own in it.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import subprocess
import tempfile
from functools import cache
from itertools import count
from pathlib import Path

from sqlalchemy import create_engine
from twisted.trial.unittest import SynchronousTestCase

from m365gw.directory.database import Database
from m365gw.directory.vault import Vault

_numbers = count()


def _program(name: str) -> str:
    """Where a program of the server is; Debian keeps these off the path."""
    debian = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")))
    places = os.pathsep.join([os.environ.get("PATH", ""), *reversed(debian)])
    return shutil.which(name, path=places) or name


class Server:
    """A PostgreSQL server, from its making to `stop`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="m365gw-pg-"))
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user is not None:
            account = pwd.getpwnam(self._user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        data = str(self.folder / "data")
        self._run("initdb", "-D", data, "-A", "trust", "-U", "gateway", "--no-sync", "-E", "UTF8")
        self.start()

    def start(self) -> None:
        """Start it (again); returns when it can be reached."""
        options = f"-c listen_addresses='' -k {self.folder} -c fsync=off -c max_connections=40"
        log = str(self.folder / "log")
        self._control("start", "-w", "-l", log, "-o", options)

    def stop(self) -> None:
        """End it; returns when it is gone."""
        self._control("stop", "-m", "immediate", "-w")

    def url(self, name: str) -> str:
        """The url of one of its databases."""
        return f"postgresql://gateway@/{name}?host={self.folder}"

    def new_database(self) -> str:
        """Make a database; gives its url."""
        name = f"test{next(_numbers)}"
        root = self.url("postgres").replace("postgresql:", "postgresql+psycopg:")
        connections = create_engine(root, isolation_level="AUTOCOMMIT")
        with connections.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        connections.dispose()
        return self.url(name)

    def _control(self, *words: str) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-s", *words)

    def _run(self, name: str, *words: str) -> None:
        subprocess.run(
            [_program(name), *words],
            user=self._user,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
        )


@cache
def server() -> Server:
    """The server of this run of the tests."""
    made = Server()

    def leave() -> None:
        made.stop()
        shutil.rmtree(made.folder)

    atexit.register(leave)
    return made


class DatabaseTestCase(SynchronousTestCase):
    """A test with a state folder and a database in SQLite."""

    def setUp(self) -> None:
        self.state_dir = str(Path(self.mktemp()).absolute())
        self.url = self.new_url()
        self.database = self.opened()
        self.vault = Vault(self.database, self.state_dir)

    def new_url(self) -> str:
        return ""

    def opened(self) -> Database:
        """The database as another process would open it."""
        database = Database.open(self.url, self.state_dir)
        self.addCleanup(database.close)
        return database


class OnPostgresql:
    """The same test on PostgreSQL: `class XOnPostgresqlTests(OnPostgresql, XTests)`."""

    def new_url(self) -> str:
        return server().new_database()
