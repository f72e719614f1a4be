"""Entries taken over from another program, all in one change: made where there are none yet.

What is there already, in the configuration or made beside it, stays as it is, so taking over the
same again changes nothing. A sign-in is a refresh token that was issued to the same app; it is kept
where the mailbox has none, and Entra is asked with it when a token is first needed
(`relay/tokens/taken_over`).

Failures: `Rejected` with the problems of all entries, and `VaultError`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from attrs import field, frozen
from sqlalchemy import Connection

from m365gw.config.mailboxes import USER_FLOWS
from m365gw.config.problems import Problem
from m365gw.config.settings import Mailbox, Settings
from m365gw.directory import audit
from m365gw.directory.change import Change, Rejected, Values, built
from m365gw.directory.entries import Made
from m365gw.directory.keys import NAMES, key_of
from m365gw.directory.secret_settings import SIGN_IN, secret_name
from m365gw.directory.vault import Vault

TABLES: Final = ("mailbox", "client", "network")  # in this order: rules name mailboxes


@frozen
class Handover:
    """What another program had. `sign_ins` are refresh tokens by the address of the mailbox."""

    source: str  # for the audit
    entries: Mapping[str, Sequence[Values]]  # by table
    sign_ins: Mapping[str, str] = field(repr=False)


@frozen
class Taken:
    """What became of one of them. `table` is "sign-in" for those."""

    table: str
    name: str
    done: Literal["made", "there", "there-otherwise", "in-file"]


@frozen
class TakingOver:
    """One handover, inside of the transaction."""

    _connection: Connection
    _vault: Vault
    _configured: Settings
    _before: Made
    _by: str

    def carry_out(self, handover: Handover) -> tuple[Taken, ...]:
        """Write what is not there yet, and say what became of each. Raises `Rejected`."""
        problems: list[Problem] = []
        taken: list[Taken] = []
        for table in TABLES:
            for values in handover.entries.get(table, ()):
                try:
                    taken.append(self._entry(table, built(table, values), values, handover.source))
                except Rejected as rejected:
                    problems += rejected.problems
        if problems:
            raise Rejected(problems)
        made = {mailbox.address: mailbox for mailbox in self._made(handover)}
        for address, token in handover.sign_ins.items():
            if address in made:
                taken.append(self._sign_in(made[address], token, handover.source))
        return tuple(taken)

    def _made(self, handover: Handover) -> Iterator[Mailbox]:
        for values in handover.entries.get("mailbox", ()):
            yield built("mailbox", values)

    def _entry(self, table: str, row: Any, values: Values, source: str) -> Taken:
        name = str(getattr(row, NAMES[table]))
        key = key_of(table, name)
        if key in _by_key(table, getattr(self._configured, table)):
            return Taken(table, name, "in-file")
        there = _by_key(table, self._before.of(table)).get(key)
        if there is not None:
            return Taken(table, name, "there" if _alike(table, there, row) else "there-otherwise")
        told = {"settings": sorted(values), "from": source}
        change = Change(self._connection, self._vault, self._by, table, key, None, ())
        change.put(row, f"{table}.imported", told)
        return Taken(table, name, "made")

    def _sign_in(self, wanted: Mailbox, token: str, source: str) -> Taken:
        key = key_of("mailbox", wanted.address)
        name = secret_name(SIGN_IN, key)
        mailboxes = (*self._configured.mailbox, *self._before.mailboxes)
        mailbox = _by_key("mailbox", mailboxes).get(key, wanted)
        if mailbox.flow not in USER_FLOWS or mailbox.client_id != wanted.client_id:
            return Taken(SIGN_IN, wanted.address, "there-otherwise")
        if name in self._vault.load_all(self._connection, {SIGN_IN}):
            return Taken(SIGN_IN, wanted.address, "there")
        cache = {"RefreshToken": {"imported": {"secret": token}}}  # as MSAL writes it, no account
        self._vault.put(self._connection, name, json.dumps(cache).encode())
        audit.note(self._connection, self._by, "mailbox.sign-in-imported", key, {"from": source})
        return Taken(SIGN_IN, wanted.address, "made")


def _by_key(table: str, rows: Sequence[Any]) -> dict[str, Any]:
    return {key_of(table, getattr(row, NAMES[table])): row for row in rows}


def _alike(table: str, there: Any, row: Any) -> bool:
    """Whether two entries say the same, but for passwords: the same one has many hashes."""
    ours = {"client": ("mailbox", "senders", "default_from"), "network": ("mailbox", "senders")}
    names = ours.get(table, ("flow", "tenant", "client_id", "cloud"))
    return all(getattr(there, name) == getattr(row, name) for name in names)
