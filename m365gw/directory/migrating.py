"""Bringing the tables up to date: Alembic's revisions in `migrations/versions`, one after another.

One process at a time does it, and all revisions are one transaction. Where there are no tables yet
they are made as `schema` has them, which a test holds equal to what the revisions make; so Alembic,
which takes eleven mebioctets for good, is only loaded where older tables are changed.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, insert, inspect, text

from m365gw.directory import schema
from m365gw.directory.schema import REVISION, metadata

_FOLDER = Path(__file__).with_name("migrations")
_VERSIONS = "alembic_version"  # Alembic's own table
_TURN = 0x6D333635  # number of the advisory lock; nobody else's, we hope


class TooNew(Exception):
    """The tables were made by a version of m365gw that is newer than this one."""


def is_up_to_date(connection: Connection) -> bool:
    """Whether nothing is to be done."""
    return revision_of(connection) == REVISION


def revision_of(connection: Connection) -> str | None:
    """The revision of the tables; None where there are none."""
    if not inspect(connection).has_table(_VERSIONS):
        return None
    return connection.execute(text(f"SELECT version_num FROM {_VERSIONS}")).scalar()


def remove_all(connection: Connection) -> None:
    """Remove the tables with all that is in them."""
    metadata.drop_all(connection)
    connection.execute(text(f"DROP TABLE IF EXISTS {_VERSIONS}"))


def migrate(connection: Connection, revision: str = "head") -> None:
    """Make the tables of this revision, or change older ones. Raises `TooNew`."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:turn)"), {"turn": _TURN})
    there = revision_of(connection)
    if there is None and revision == "head":
        _make(connection)
    elif there != REVISION or revision != "head":
        _change(connection, there, revision)


def _make(connection: Connection) -> None:
    """The tables as they are today, and Alembic's own, which says so."""
    metadata.create_all(connection)
    connection.execute(insert(schema.revision).values(number=0))
    versions = "version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY"
    connection.execute(text(f"CREATE TABLE {_VERSIONS} ({versions} (version_num))"))
    connection.execute(
        text(f"INSERT INTO {_VERSIONS} (version_num) VALUES (:revision)"), {"revision": REVISION}
    )


def _change(connection: Connection, there: str | None, revision: str) -> None:
    """Run the revisions that are still to be run, up to this one. Raises `TooNew`."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    known = {each.revision for each in ScriptDirectory.from_config(config).walk_revisions()}
    for wanted in (there, None if revision == "head" else revision):
        if wanted is not None and wanted not in known:
            raise TooNew(
                f"The tables are of revision {wanted}, which a newer version has made; this one"
                f" knows {REVISION}. Install that version again, or restore a backup of this one."
            )
    command.upgrade(config, revision)
