"""What people made beside the configuration: listeners, mailboxes, clients, networks, settings.

Entries are the same settings classes as in the file; single settings are text (`config.settable`).
Each is a row with its key, a document
(`config.documents`), and who made it; secrets come from the vault, passwords from rows of their
own. What cannot be read is left out and said, and the rest is there.

Failures: `DirectoryError`. A secret that does not open is a problem of its mailbox, which then has
none; its sign-in says what to do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs
from attrs import field, frozen
from sqlalchemy import Connection, Table, select

from m365gw.config.documents import row_from
from m365gw.config.logins import Password
from m365gw.config.problems import Problem
from m365gw.config.settable import read as read_setting
from m365gw.config.settings import Client, Listener, Mailbox, Network
from m365gw.directory import schema
from m365gw.directory.database import Database
from m365gw.directory.secret_settings import SECRETS, secret_name
from m365gw.directory.vault import Vault, VaultError

TABLES: Mapping[str, Table] = {
    "listener": schema.listeners,
    "mailbox": schema.mailboxes,
    "client": schema.clients,
    "network": schema.networks,
    "setting": schema.settings,
}


@frozen
class Maker:
    """Who made an entry and who changed it last; times are seconds since 1970."""

    made_at: float
    made_by: str
    changed_at: float
    changed_by: str


@frozen
class Setting:
    """A single setting: `key` as "queue.delivery", `value` as text."""

    key: str
    value: str


@frozen
class Made:
    """All entries at one moment."""

    listeners: tuple[Listener, ...] = ()
    mailboxes: tuple[Mailbox, ...] = ()
    clients: tuple[Client, ...] = ()
    networks: tuple[Network, ...] = ()
    settings: tuple[Setting, ...] = ()
    revision: int = 0  # another one means that something has changed
    problems: tuple[Problem, ...] = ()
    makers: Mapping[tuple[str, str], Maker] = field(factory=dict)  # by table and key

    def of(self, table: str) -> tuple[Any, ...]:
        """The entries of one table of the configuration, "mailbox"; or the settings, "setting"."""
        rows: tuple[Any, ...] = {
            "listener": self.listeners,
            "mailbox": self.mailboxes,
            "client": self.clients,
            "network": self.networks,
            "setting": self.settings,
        }[table]
        return rows


class Entries:
    """Reads the entries. Blocking calls; they raise `DirectoryError`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def read(self) -> Made:
        """All that there is now."""
        with self._database.reading() as connection:
            return self.read_in(connection)

    def read_in(self, connection: Connection) -> Made:
        """All that there is as a transaction of the caller sees it."""
        reading = _Reading(connection)
        rows = {table: reading.rows(table) for table in TABLES}
        mailboxes = self._with_secrets(connection, rows["mailbox"], reading.problems)
        passwords = reading.passwords()
        clients = [
            attrs.evolve(client, password=tuple(passwords.get(key, ())))
            for key, client in rows["client"].items()
        ]
        return Made(
            listeners=tuple(rows["listener"].values()),
            mailboxes=tuple(mailboxes),
            clients=tuple(clients),
            networks=tuple(rows["network"].values()),
            settings=tuple(rows["setting"].values()),
            revision=_revision(connection),
            problems=tuple(reading.problems),
            makers=reading.makers,
        )

    def revision(self) -> int:
        """A number that is another one when something has changed."""
        with self._database.reading() as connection:
            return _revision(connection)

    def _with_secrets(
        self, connection: Connection, rows: Mapping[str, Mailbox], problems: list[Problem]
    ) -> list[Mailbox]:
        if not rows:
            return []
        try:
            secrets = self._vault.load_all(connection, SECRETS.values())
        except VaultError as error:
            problems.append(Problem("directory", str(error)))
            return list(rows.values())
        unopened = [name for name, secret in secrets.items() if secret is None]
        if unopened:
            problems.append(Problem("directory", self._vault.unopened(unopened)))
        return [_with(mailbox, key, secrets) for key, mailbox in rows.items()]


class _Reading:
    """One look at the tables."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.problems: list[Problem] = []
        self.makers: dict[tuple[str, str], Maker] = {}

    def rows(self, table: str) -> dict[str, Any]:
        """The entries of a table by key."""
        found = {}
        columns = TABLES[table].c
        for row in self._connection.execute(select(TABLES[table]).order_by(columns.key)):
            place = place_of(table, row.key)
            entry, problems = entry_from(table, json.loads(row.document), place)
            self.problems += problems
            if entry is not None:
                found[row.key] = entry
                self.makers[table, row.key] = Maker(
                    row.made_at, row.made_by, row.changed_at, row.changed_by
                )
        return found

    def passwords(self) -> dict[str, list[Password]]:
        """The passwords of each client, the oldest first."""
        found: dict[str, list[Password]] = {}
        columns = schema.passwords.c
        for row in self._connection.execute(select(schema.passwords).order_by(columns.made_at)):
            document = {"login": row.client, "senders": [], "mailbox": ""}
            document["password"] = [json.loads(row.document)]
            client, problems = row_from("client", document, place_of("client", row.client))
            self.problems += problems
            if client is not None:
                found.setdefault(row.client, []).extend(client.password)
        return found


def entry_from(table: str, document: Mapping[str, Any], place: str) -> tuple[Any, list[Problem]]:
    """The entry of a document, or None and what is wrong with it."""
    if table != "setting":
        return row_from(table, document, place)
    setting = Setting(**document)
    _, problems = read_setting(setting.key, setting.value, place)
    return (None if problems else setting), problems


def place_of(table: str, key: str) -> str:
    """Where an entry stands, in words."""
    return f"directory, {table} {key}"


def _with(mailbox: Mailbox, key: str, secrets: Mapping[str, bytes | None]) -> Mailbox:
    own: dict[str, Any] = {
        setting: (secrets.get(secret_name(kind, key)) or b"").decode()
        for setting, kind in SECRETS.items()
    }
    return attrs.evolve(mailbox, **own)


def _revision(connection: Connection) -> int:
    number: int = connection.execute(select(schema.revision.c.number)).scalar_one()
    return number
