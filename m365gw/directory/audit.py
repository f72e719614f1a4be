"""Who changed what, and when: a line for each change, in the transaction of the change itself.

No secret is in it: `detail` names what was changed, and gives values only where they are none.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, insert, select

from m365gw.directory import schema
from m365gw.directory.database import Database


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
    connection.execute(
        insert(schema.audit).values(
            at=time.time(),
            by=by,
            action=action,
            subject=subject,
            detail=json.dumps(detail, ensure_ascii=False),
        )
    )


class Audit:
    """The lines, newest first. Raises `DirectoryError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def changes(self, limit: int = 100, before: int | None = None) -> list[Change]:
        """At most so many, older than the line `before` (its id) where one is given."""
        lines = select(schema.audit).order_by(schema.audit.c.id.desc()).limit(limit)
        if before is not None:
            lines = lines.where(schema.audit.c.id < before)
        with self._database.reading() as connection:
            return [
                Change(row.id, row.at, row.by, row.action, row.subject, json.loads(row.detail))
                for row in connection.execute(lines)
            ]
