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

from attrs import evolve, field, frozen
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

_OTHER: Final = "there-otherwise"
TABLES: Final = ("mailbox", "client", "network")  # in this order: rules name mailboxes


@frozen
class Handover:
    """What another program had. `sign_ins` are refresh tokens by the address of the mailbox."""

    source: str  # for the audit
    entries: Mapping[str, Sequence[Values]] = field(repr=False)  # by table; secrets of apps
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
            locked = _by_key(table, getattr(self._configured, table))
            known = {**_by_key(table, self._before.of(table)), **locked}
            for values in handover.entries.get(table, ()):
                try:
                    row = built(table, values)
                except Rejected as rejected:
                    problems += rejected.problems
                    continue
                done = self._entry(table, row, values, known, handover.source)
                is_locked = key_of(table, done.name) in locked
                taken.append(evolve(done, done="in-file") if is_locked else done)
        if problems:
            raise Rejected(problems)
        return (*taken, *self._sign_ins(handover))

    def _entry(
        self, table: str, row: Any, values: Values, known: Mapping[str, Any], source: str
    ) -> Taken:
        name = str(getattr(row, NAMES[table]))
        key = key_of(table, name)
        if key in known:
            return Taken(table, name, "there" if _alike(table, known[key], row) else _OTHER)
        told = {"settings": sorted(values), "from": source}
        change = Change(self._connection, self._vault, self._by, table, key, None, ())
        change.put(row, f"{table}.imported", told)
        return Taken(table, name, "made")

    def _sign_ins(self, handover: Handover) -> Iterator[Taken]:
        """Keep those of mailboxes that have none, and are of the same app."""
        theirs = {row["address"]: row for row in handover.entries.get("mailbox", ())}
        ours = _by_key("mailbox", (*self._before.mailboxes, *self._configured.mailbox))
        there = self._vault.names_in(self._connection)
        for address, token in handover.sign_ins.items():
            key = key_of("mailbox", address)
            wanted = built("mailbox", theirs[address]) if address in theirs else None
            mailbox = ours.get(key, wanted)
            name = secret_name(SIGN_IN, key)
            if mailbox is None or wanted is None or not _is_of_its_app(mailbox, wanted):
                yield Taken(SIGN_IN, address, _OTHER)
                continue
            if name not in there:
                self._keep(name, key, token, handover.source)
            yield Taken(SIGN_IN, address, "there" if name in there else "made")

    def _keep(self, name: str, key: str, token: str, source: str) -> None:
        cache = {"RefreshToken": {"imported": {"secret": token}}}  # as MSAL writes it, no account
        self._vault.put(self._connection, name, json.dumps(cache).encode())
        audit.note(self._connection, self._by, "mailbox.sign-in-imported", key, {"from": source})


def _is_of_its_app(mailbox: Mailbox, theirs: Mailbox) -> bool:
    """Whether a refresh token of the other program's app is of use to a mailbox."""
    return mailbox.flow in USER_FLOWS and mailbox.client_id == theirs.client_id


def _by_key(table: str, rows: Sequence[Any]) -> dict[str, Any]:
    return {key_of(table, getattr(row, NAMES[table])): row for row in rows}


def _alike(table: str, there: Any, row: Any) -> bool:
    """Whether two entries say the same, but for passwords: the same one has many hashes."""
    ours = {"client": ("mailbox", "senders", "default_from"), "network": ("mailbox", "senders")}
    names = ours.get(table, ("flow", "tenant", "client_id", "cloud"))
    return all(getattr(there, name) == getattr(row, name) for name in names)
