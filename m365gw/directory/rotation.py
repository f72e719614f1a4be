"""A new key for all that is sealed: everything is sealed anew, and only then the old key goes.

| A crash just after | leaves | and then |
|---|---|---|
| the new key was put first | both keys, all sealed by the old one | everything opens |
| all was sealed anew (one transaction, then files) | both keys | everything opens |
| the old key was removed | the new key | everything opens |

Rotated again, it goes on from there. A running service reads the keys each time it needs them; who
stores meanwhile waits for the transaction, and then seals by the new key.

Failures: `VaultError`; nothing is lost then.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, select, update

from m365gw.directory.database import Database, lock
from m365gw.directory.schema import sealed
from m365gw.directory.sealed_file import SealedFile
from m365gw.directory.vault import Vault, VaultError, told_as_vault_error


def rotate(
    database: Database, vault: Vault, files: Sequence[SealedFile], *, forget_lost: bool = False
) -> tuple[int, list[str]]:
    """Seal everything under a new key, and these files. Gives how many secrets there are in the
    database, and the names of those that no key opened and that were forgotten, which only happens
    if `forget_lost`.
    """
    with told_as_vault_error():
        with database.writing() as connection:
            lock(connection, sealed)
            if forget_lost and not vault.seal.exists():
                vault.seal.make()
            vault.seal.begin_rotation()
            count, lost = _seal_anew(connection, vault)
            if lost and not forget_lost:
                remedy = "To forget them: m365gw keys rotate --forget-lost"
                raise VaultError(f"{vault.unopened(lost)} {remedy}")
            connection.execute(delete(sealed).where(sealed.c.name.in_(lost)))
        sealed_files = [file.seal_anew() for file in files]
        with database.writing() as connection:
            lock(connection, sealed)
            rows = connection.execute(select(sealed.c.name, sealed.c.secret)).all()
            # Not so when another rotation has begun meanwhile, and ended badly.
            if all(sealed_files) and all(
                vault.seal.opens_by_first(row.name, row.secret) for row in rows
            ):
                vault.seal.end_rotation()
    return count, lost


def _seal_anew(connection: Connection, vault: Vault) -> tuple[int, list[str]]:
    """How many secrets are sealed by the new key now, and the names of those that do not open."""
    count, lost = 0, []
    for row in connection.execute(select(sealed.c.name, sealed.c.secret)).all():
        secret = vault.seal.open(row.name, row.secret)
        if secret is None:
            lost.append(row.name)
            continue
        anew = {"secret": vault.seal.close(row.name, secret)}
        connection.execute(update(sealed).where(sealed.c.name == row.name).values(anew))
        count += 1
    return count, lost
