"""One change of what was made beside the configuration: built from plain values, written, audited.

Failures: `Rejected`, with every reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import attrs
from attrs import frozen
from sqlalchemy import Connection

from m365gw.config.documents import row_from
from m365gw.config.key_pairs import Unusable, kinds_for, read_pairs
from m365gw.config.logins import Password
from m365gw.config.problems import Problem
from m365gw.config.settings import Client, Mailbox
from m365gw.directory import audit, rows
from m365gw.directory.entries import place_of
from m365gw.directory.keys import NAMES
from m365gw.directory.vault import Vault

Values = Mapping[str, Any]  # as the configuration has them: {"address": ..., "flow": ...}


class Rejected(Exception):
    """The change was not made. Carries every reason."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


@frozen
class Change:
    """One entry that is changed, inside of the transaction."""

    _connection: Connection
    _vault: Vault
    _by: str
    _table: str
    key: str
    before: Any  # the entry as it was, or None
    _known: Sequence[str]

    @property
    def place(self) -> str:
        return place_of(self._table, self.key)

    def there(self) -> Any:
        """The entry as it was. Raises `Rejected` when there is none."""
        if self.before is None:
            known = ", ".join(self._known) or "none"
            reject(self.place, f"there is no such {self._table}", f"Known: {known}.")
        return self.before

    def put(self, row: Any, action: str, detail: Values) -> None:
        """Write it, and the line for the audit."""
        rows.write(self._connection, self._vault, self._table, self.key, row, self._by)
        audit.note(self._connection, self._by, action, self.key, detail)

    def remove(self, action: str) -> None:
        """Remove it, and say so in the audit."""
        rows.remove(self._connection, self._vault, self._table, self.key)
        audit.note(self._connection, self._by, action, self.key, {})


def built(table: str, values: Values) -> Any:
    """The entry these values make. Raises `Rejected`."""
    row, problems = row_from(table, values, str(values.get(NAMES[table], f"new {table}")))
    if problems:
        raise Rejected(problems)
    if isinstance(row, Client) and row.password_hash:
        first = Password(hash=row.password_hash)
        row = attrs.evolve(row, password_hash="", password=(first, *row.password))
    named = [name for name in ("client_secret_file", "certificate_file") if getattr(row, name, "")]
    if named:
        reject(
            f"{table}  {named[0]}",
            "is for the configuration file",
            "Give the secret itself: it is kept sealed.",
        )
    if isinstance(row, Mailbox) and row.certificate:
        _check_certificate(row)
    return row


def _check_certificate(row: Mailbox) -> None:
    """As that of a file is checked. Here and not at each start: it costs 25 ms for each mailbox."""
    try:
        read_pairs(row.certificate.encode(), row.certificate_passphrase, kinds_for(row.exit))
    except Unusable as problem:
        place = f"{place_of('mailbox', row.address)}  certificate"
        reject(place, "holds no certificate with its key", str(problem))


def reject(place: str, fault: str, remedy: str) -> NoReturn:
    raise Rejected([Problem(place, fault, remedy)])
