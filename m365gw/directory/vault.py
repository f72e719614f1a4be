"""Secrets at rest: sealed in the database, under a key that lies elsewhere (`seal`).

A secret that was stored is durable. Names in use: `sign-in ADDRESS`, and those of `secrets`.

Failures: `VaultError` when a secret cannot be opened (key lost, row damaged), read or stored; its
text names the place and the remedy, and never the secret.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, delete, insert, select, update

from m365gw.directory.audit import note
from m365gw.directory.database import Database, DirectoryError, lock
from m365gw.directory.schema import revision, sealed
from m365gw.directory.seal import Seal, SealError


class VaultError(Exception):
    """A secret cannot be read or written. The text is for the operator."""


class Vault:
    """The sealed secrets of one gateway. Blocking calls."""

    def __init__(self, database: Database, state_dir: str) -> None:
        self._database = database
        self.seal = Seal(state_dir)

    def load(self, name: str) -> bytes | None:
        """The secret of that name, or None when there is none. Raises `VaultError`."""
        for _ in ("now", "after a rotation that ended between the row and the key"):
            with told_as_vault_error(), self._database.reading() as connection:
                row = connection.execute(select(sealed.c.secret).where(sealed.c.name == name))
                found = row.scalar()
            if found is None:
                return None
            with told_as_vault_error():
                secret = self.seal.open(name, found)
            if secret is not None:
                return secret
        raise VaultError(self.unopened([name]))

    def load_all(self, connection: Connection, kinds: Collection[str]) -> dict[str, bytes | None]:
        """All secrets of these kinds ("client-secret") by name; None where one does not open.

        Raises `VaultError`.
        """
        with told_as_vault_error():
            rows = connection.execute(select(sealed.c.name, sealed.c.secret)).all()
            return {
                row.name: self.seal.open(row.name, row.secret)
                for row in rows
                if row.name.partition(" ")[0] in kinds
            }

    def store(self, name: str, secret: bytes) -> None:
        """Keep a secret under a name; it is durable when this returns. Raises `VaultError`."""
        with told_as_vault_error(), self._database.writing() as connection:
            self.put(connection, name, secret)

    def replace(self, name: str, old: bytes, secret: bytes) -> bool:
        """Keep a secret in the place of `old`; it is durable when this returns.

        False, and nothing was done: by now another one is there, or none. Raises `VaultError`.
        """
        with told_as_vault_error(), self._database.writing() as connection:
            return self._replace(connection, name, old, secret)

    def amend(self, name: str, old: bytes, secret: bytes, action: str) -> bool:
        """`replace` for a secret among settings: they are read anew, and the audit has a line."""
        with told_as_vault_error(), self._database.writing() as connection:
            is_done = self._replace(connection, name, old, secret)
            if is_done:
                connection.execute(update(revision).values(number=revision.c.number + 1))
                note(connection, "gateway", action, name, {})
            return is_done

    def remove(self, name: str) -> None:
        """Forget a secret, if there is one of that name. Raises `VaultError`."""
        with told_as_vault_error(), self._database.writing() as connection:
            self.drop(connection, name)

    def names(self) -> list[str]:
        """The names of all secrets. Raises `VaultError`."""
        with told_as_vault_error(), self._database.reading() as connection:
            return list(connection.execute(select(sealed.c.name).order_by(sealed.c.name)).scalars())

    def marks(self, kind: str) -> dict[str, object]:
        """What changes when a secret of this kind, or the key, is stored anew; by its name.

        Raises `VaultError`.
        """
        rows = select(sealed.c.name, sealed.c.changed_at)
        with told_as_vault_error(), self._database.reading() as connection:
            found = connection.execute(rows.where(sealed.c.name.startswith(f"{kind} "))).all()
        key = self.seal.mark()
        return {name: (changed_at, key) for name, changed_at in found}

    def names_in(self, connection: Connection) -> frozenset[str]:
        """The names of all secrets, as somebody's transaction sees them."""
        return frozenset(connection.execute(select(sealed.c.name)).scalars())

    def prepare(self) -> None:
        """Make the key where there is none and nothing was sealed. Raises `VaultError`."""
        with told_as_vault_error():
            if not self.seal.exists():
                with self._database.writing() as connection:
                    self._make_first_key(connection)

    def put(self, connection: Connection, name: str, secret: bytes) -> None:
        """Store in somebody's transaction. Raises `VaultError`."""
        with told_as_vault_error():
            self._make_first_key(connection)
            self.drop(connection, name)
            row = {"name": name, "secret": self.seal.close(name, secret), "changed_at": time.time()}
            connection.execute(insert(sealed).values(row))

    def drop(self, connection: Connection, name: str) -> None:
        """Remove in somebody's transaction."""
        connection.execute(delete(sealed).where(sealed.c.name == name))

    def _replace(self, connection: Connection, name: str, old: bytes, secret: bytes) -> bool:
        lock(connection, sealed)
        row = connection.execute(select(sealed.c.secret).where(sealed.c.name == name)).scalar()
        if row is None:
            return False
        there = self.seal.open(name, row)
        if there is None:
            raise VaultError(self.unopened([name]))
        if there == old:
            self.put(connection, name, secret)
        return there == old

    def _make_first_key(self, connection: Connection) -> None:
        # A key read before this could be one that a rotation has just removed.
        lock(connection, sealed)
        if not self.seal.exists() and _is_empty(connection):
            self.seal.make()

    def unopened(self, names: Collection[str]) -> str:
        """The words for secrets that no key opens."""
        return (
            f"{', '.join(names)}: does not open with the keys in {self.seal.file}. Restore the key"
            " file that belongs to it, or sign the mailbox in again."
        )


def _is_empty(connection: Connection) -> bool:
    return connection.execute(select(sealed.c.name).limit(1)).first() is None


@contextmanager
def told_as_vault_error() -> Iterator[None]:
    """Failures of database and key, as those of the vault."""
    try:
        yield
    except (DirectoryError, SealError) as error:
        raise VaultError(str(error)) from None
