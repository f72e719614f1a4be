"""Sessions of the console as they outlast a restart: by a digest of their id, never by the id.

Who reads the database, or a backup of it, cannot go on with anybody's session. Calls block.
Failures: `DirectoryError`.
"""

from __future__ import annotations

from typing import Any, cast

from attrs import frozen
from sqlalchemy import delete, insert, or_, select, update

from m365gw.directory import schema
from m365gw.directory.database import Database
from m365gw.directory.operators import Role


@frozen
class WebSession:
    """Somebody signed in, in one browser. Times are in seconds since 1970."""

    digest: str  # of the id, which only the browser has
    login: str
    role: Role
    began_at: float
    seen_at: float
    address: str = ""  # where it began


class WebSessions:
    """The sessions that stand."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, digest: str) -> WebSession | None:
        """The session of this digest, with the role its operator has now; None without either."""
        sessions, operators = schema.web_sessions, schema.operators
        wanted = (
            select(sessions, operators.c.role)
            .join(operators, operators.c.login == sessions.c.login)
            .where(sessions.c.digest == digest)
        )
        with self._database.reading() as connection:
            row: Any = connection.execute(wanted).first()
        return None if row is None else _session(row)

    def of(self, login: str) -> list[WebSession]:
        """The sessions of an operator."""
        sessions, operators = schema.web_sessions, schema.operators
        wanted = (
            select(sessions, operators.c.role)
            .join(operators, operators.c.login == sessions.c.login)
            .where(sessions.c.login == login)
        )
        with self._database.reading() as connection:
            return [_session(row) for row in connection.execute(wanted)]

    def keep(self, session: WebSession) -> None:
        """A session has begun."""
        with self._database.writing() as connection:
            connection.execute(
                insert(schema.web_sessions).values(
                    digest=session.digest,
                    login=session.login,
                    began_at=session.began_at,
                    seen_at=session.seen_at,
                    address=session.address,
                )
            )

    def seen(self, digest: str, at: float) -> None:
        """It is in use."""
        table = schema.web_sessions
        with self._database.writing() as connection:
            connection.execute(update(table).where(table.c.digest == digest).values(seen_at=at))

    def drop(self, digest: str) -> None:
        """It has ended; one that is not there may be dropped."""
        table = schema.web_sessions
        with self._database.writing() as connection:
            connection.execute(delete(table).where(table.c.digest == digest))

    def drop_older(self, began: float, seen: float) -> None:
        """Those that began before the one time, or were last seen before the other, have ended."""
        table = schema.web_sessions
        with self._database.writing() as connection:
            connection.execute(
                delete(table).where(or_(table.c.began_at < began, table.c.seen_at < seen))
            )


def _session(row: Any) -> WebSession:
    return WebSession(
        row.digest, row.login, cast(Role, row.role), row.began_at, row.seen_at, row.address
    )
