"""How an entry is written: its row, its secrets, its passwords. In somebody's transaction."""

from __future__ import annotations

import json
import time
from typing import Any

import attrs
from sqlalchemy import Connection, Table, and_, delete, insert, select, update

from m365gw.config.documents import document_of
from m365gw.config.logins import Password
from m365gw.config.settings import Client, Mailbox
from m365gw.directory import schema, secret_settings
from m365gw.directory.entries import TABLES
from m365gw.directory.last_use import fingerprint
from m365gw.directory.vault import Vault


def write(connection: Connection, vault: Vault, table: str, key: str, row: Any, by: str) -> None:
    """Add an entry, or put it in the place of the one there is. Raises `VaultError`."""
    if isinstance(row, Mailbox):
        row = secret_settings.put_away(connection, vault, key, row)
    if isinstance(row, Client):
        _write(connection, TABLES[table], {"key": key}, attrs.evolve(row, password=()), by)
        _write_passwords(connection, key, row.password, by)
    else:
        _write(connection, TABLES[table], {"key": key}, row, by)


def remove(connection: Connection, vault: Vault, table: str, key: str) -> None:
    """Remove an entry with all that belongs to it."""
    if table == "mailbox":
        secret_settings.forget(connection, vault, key)
    connection.execute(delete(TABLES[table]).where(TABLES[table].c.key == key))


def _write_passwords(
    connection: Connection, client: str, wanted: tuple[Password, ...], by: str
) -> None:
    columns = schema.passwords.c
    prints = {fingerprint(each.hash): each for each in wanted}
    connection.execute(
        delete(schema.passwords).where(
            columns.client == client, columns.fingerprint.not_in(list(prints))
        )
    )
    for print_, password in prints.items():
        names = {"client": client, "fingerprint": print_}
        _write(connection, schema.passwords, names, password, by)


def _write(connection: Connection, table: Table, names: dict[str, str], row: Any, by: str) -> None:
    """Nothing is written where nothing has changed: who changed it last stays true."""
    here = and_(*(table.c[name] == value for name, value in names.items()))
    document = json.dumps(document_of(row), ensure_ascii=False)
    now = time.time()
    changed = {"document": document, "changed_at": now, "changed_by": by}
    there = connection.execute(select(table.c.document).where(here)).scalar()
    if there is None:
        row_values = {**names, **changed, "made_at": now, "made_by": by}
        connection.execute(insert(table).values(row_values))
    elif there != document:
        connection.execute(update(table).where(here).values(changed))
