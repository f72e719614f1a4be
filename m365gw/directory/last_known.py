"""The entries as they were last read: kept in state_dir for a start without the database.

The file is sealed, secrets and all, so that mailboxes that need nobody to sign in can send. That it
is there also says that there has been a database (`database`).
"""

from __future__ import annotations

import json
from typing import Any

from m365gw.config.documents import document_of
from m365gw.config.problems import Problem
from m365gw.directory.database import LAST_KNOWN
from m365gw.directory.entries import TABLES, Made, entry_from, place_of
from m365gw.directory.keys import NAMES, key_of
from m365gw.directory.seal import Seal
from m365gw.directory.sealed_file import SealedFile


class LastKnown:
    """What is kept of the entries. Blocking calls."""

    def __init__(self, state_dir: str, seal: Seal) -> None:
        self.file = SealedFile(state_dir, LAST_KNOWN, seal)

    def keep(self, made: Made) -> None:
        """Replace what is kept, durably. Raises OSError and `SealError`."""
        documents = {table: [document_of(row) for row in made.of(table)] for table in TABLES}
        self.file.write(json.dumps(documents).encode())

    def read(self) -> Made:
        """What was kept; nothing when nothing was. Raises OSError and `SealError`."""
        try:
            documents = json.loads(self.file.read())
        except FileNotFoundError:
            return Made()
        rows: dict[str, list[Any]] = {table: [] for table in TABLES}
        problems: list[Problem] = []
        for table in TABLES:
            for document in documents.get(table, ()):
                name = str(document[NAMES.get(table, "key")])
                row, faults = entry_from(table, document, place_of(table, key_of(table, name)))
                rows[table] += [row] if row is not None else []
                problems += faults
        return Made(
            listeners=tuple(rows["listener"]),
            mailboxes=tuple(rows["mailbox"]),
            clients=tuple(rows["client"]),
            networks=tuple(rows["network"]),
            settings=tuple(rows["setting"]),
            problems=tuple(problems),
        )
