"""Who changed what, and when: a line for each change, in the transaction of the change itself.

No secret is in it: `detail` names what was changed, and gives values only where they are none. The
last `KEPT` lines stay, the older ones go as new ones come.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen
from sqlalchemy import Connection, delete, insert, or_, select

from m365gw.directory import schema
from m365gw.directory.database import Database

KEPT: Final = 100_000  # lines; some 20 MB
_PRUNED_EVERY: Final = 1000  # lines


@frozen
class Change:
    """One line. `by` is a person or program: "root (uid 0)", "console: anna"."""

    id: int
    at: float  # seconds since 1970
    by: str
    action: str  # "mailbox.added"
    subject: str  # "relay@contoso.com"
    detail: Mapping[str, Any]


def note(
    connection: Connection, by: str, action: str, subject: str, detail: Mapping[str, Any]
) -> None:
    """Write a line; it is there if the transaction is."""
    written = connection.execute(
        insert(schema.audit).values(
            at=time.time(),
            by=by,
            action=action,
            subject=subject,
            detail=json.dumps(detail, ensure_ascii=False),
        )
    )
    number = written.inserted_primary_key[0] if written.inserted_primary_key else 0
    if number and number % _PRUNED_EVERY == 0:
        connection.execute(delete(schema.audit).where(schema.audit.c.id <= number - KEPT))


class Audit:
    """The lines, newest first. Raises `DirectoryError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def changes(self, limit: int = 100, before: int | None = None, text: str = "") -> list[Change]:
        """At most so many, older than the line `before` (its id) where one is given.

        `text` is in the name of who did it, of what was done, or to what; letter case is not.
        """
        lines = select(schema.audit).order_by(schema.audit.c.id.desc()).limit(limit)
        if before is not None:
            lines = lines.where(schema.audit.c.id < before)
        if text:
            columns = schema.audit.c
            holding = (columns.by, columns.action, columns.subject)
            lines = lines.where(or_(*(c.icontains(text, autoescape=True) for c in holding)))
        with self._database.reading() as connection:
            return [
                Change(row.id, row.at, row.by, row.action, row.subject, json.loads(row.detail))
                for row in connection.execute(lines)
            ]
