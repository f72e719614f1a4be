"""The entries as they were last read: kept in state_dir for a start without the database.

The file is sealed, secrets and all, so that mailboxes that need nobody to sign in can send. That it
is there also says that there has been a database (`database`).
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from m365gw.config.documents import document_of
from m365gw.config.problems import Problem
from m365gw.directory.database import LAST_KNOWN
from m365gw.directory.entries import TABLES, Made, entry_from, place_of
from m365gw.directory.keys import NAMES, key_of
from m365gw.directory.private_files import write_private
from m365gw.directory.seal import Seal


class LastKnown:
    """What is kept of the entries. Blocking calls."""

    def __init__(self, state_dir: str, seal: Seal) -> None:
        self._file = Path(state_dir, LAST_KNOWN)
        self._seal = seal

    def keep(self, made: Made) -> None:
        """Replace what is kept, durably. Raises OSError and `SealError`."""
        documents = {table: [document_of(row) for row in made.of(table)] for table in TABLES}
        octets = json.dumps(documents).encode()
        write_private(self._file, self._seal.close(LAST_KNOWN, octets))

    def seal_anew(self) -> None:
        """Seal what is kept by the first key. Raises `SealError`; what is not kept can wait."""
        with suppress(OSError):
            opened = self._seal.open(LAST_KNOWN, self._file.read_bytes())
            if opened is not None:
                write_private(self._file, self._seal.close(LAST_KNOWN, opened))

    def read(self) -> Made:
        """What was kept; nothing when nothing was. Raises OSError and `SealError`."""
        try:
            sealed = self._file.read_bytes()
        except FileNotFoundError:
            return Made()
        opened = self._seal.open(LAST_KNOWN, sealed)
        if opened is None:
            return Made()
        documents = json.loads(opened)
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
