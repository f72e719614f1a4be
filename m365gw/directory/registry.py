"""Every change of the entries made beside the configuration, by whoever: checked, then written.

A change is taken when the settings that would come of it have no fault they had not before; all
faults are said at once. The entry, its secrets and the audit line are one transaction, and changes
take turns, so none is checked against what another has just changed.

Failures: `Rejected` with every problem, when the change makes no sense or the entry stands in the
configuration file, which is its owner's; `DirectoryError` and `VaultError` when it cannot be kept.
Then nothing has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
from sqlalchemy import Connection, update

from m365gw.config.documents import document_of
from m365gw.config.key_pairs import KeyPair
from m365gw.config.logins import Password
from m365gw.config.problems import Problem
from m365gw.config.settable import read
from m365gw.config.settings import Client, Listener, Mailbox, Network, Settings
from m365gw.directory import merge
from m365gw.directory.certificates import renewed
from m365gw.directory.change import Change, Values, built, reject
from m365gw.directory.change import Rejected as Rejected
from m365gw.directory.database import Database
from m365gw.directory.entries import Entries, Made, Setting, place_of
from m365gw.directory.keys import NAMES, key_of
from m365gw.directory.last_use import fingerprint
from m365gw.directory.schema import revision
from m365gw.directory.taking_over import Handover, Taken, TakingOver
from m365gw.directory.vault import Vault

CERTIFIED = ("certificate", "web")  # flows that may prove themselves by a certificate


class Registry:
    """Adds, changes and removes entries. `by` says who does it, for the audit. Blocking calls.

    In a change, None takes a setting back to its default, and what is not named stays.
    `read_settings` gives the settings of the configuration file alone.
    """

    def __init__(
        self, database: Database, vault: Vault, read_settings: Callable[[], Settings]
    ) -> None:
        self._database = database
        self._vault = vault
        self._entries = Entries(database, vault)
        self._read_settings = read_settings

    def add_mailbox(self, values: Values, by: str) -> Mailbox:
        """Add a mailbox; client_secret and certificate go to the vault."""
        made: Mailbox = self._add("mailbox", values, by)
        return made

    def change_mailbox(self, address: str, values: Values, by: str) -> Mailbox:
        """Change settings of a mailbox. Its address stays."""
        changed: Mailbox = self._change("mailbox", address, values, by)
        return changed

    def remove_mailbox(self, address: str, by: str) -> None:
        """Remove a mailbox with its secrets and its sign-in. Its mail is kept."""
        self._remove("mailbox", address, by)

    def renew_certificate(self, address: str, days: int, by: str) -> KeyPair:
        """Make the next certificate of a mailbox; the old one serves until Entra knows the new."""
        with self._changing("mailbox", address, by) as change:
            mailbox: Mailbox = change.there()
            if not mailbox.has_token:
                what = "leaves by a connector, which takes certificates of public authorities only"
                reject(change.place, what, "Give it the new one: m365gw mailbox change")
            if mailbox.flow not in CERTIFIED:
                what = f'has flow "{mailbox.flow}", which takes no certificate'
                reject(change.place, what, "")
            certificates, made = renewed(mailbox.certificate, mailbox.address, days)
            told = {"thumbprint": made.thumbprint, "ends_at": made.ends_at}
            row = attrs.evolve(mailbox, certificate=certificates)
            change.put(row, "mailbox.certificate-renewed", told)
        return made

    def add_client(self, values: Values, by: str) -> Client:
        """Add a client with one password or more, as hashes."""
        made: Client = self._add("client", values, by)
        return made

    def change_client(self, login: str, values: Values, by: str) -> Client:
        """Change settings of a client. Its login stays; `password` replaces all passwords."""
        changed: Client = self._change("client", login, values, by)
        return changed

    def remove_client(self, login: str, by: str) -> None:
        """Remove a client with its passwords."""
        self._remove("client", login, by)

    def set_password(self, login: str, values: Values, by: str) -> Password:
        """Give a client one more password: `hash`, and what else a [[client.password]] says."""
        with self._changing("client", login, by) as change:
            document = document_of(change.there())
            document["password"] = [*document.get("password", []), dict(values)]
            client: Client = built("client", document)
            change.put(client, "client.password-added", {"label": client.password[-1].label})
        return client.password[-1]

    def remove_password(self, login: str, password: str, by: str) -> None:
        """Take a password from a client, known by its label or its `last_use.fingerprint`."""
        with self._changing("client", login, by) as change:
            client: Client = change.there()
            found = [p for p in client.password if password in (fingerprint(p.hash), p.label)]
            if len(found) != 1:
                what = "has several passwords of that label" if found else "has no such password"
                reject(change.place, what, "m365gw client list shows them.")
            left = tuple(each for each in client.password if each is not found[0])
            told = {"label": found[0].label}
            change.put(attrs.evolve(client, password=left), "client.password-removed", told)

    def add_network(self, values: Values, by: str) -> Network:
        """Add a network that may relay without a login."""
        made: Network = self._add("network", values, by)
        return made

    def change_network(self, cidr: str, values: Values, by: str) -> Network:
        """Change settings of a network. Its cidr stays."""
        changed: Network = self._change("network", cidr, values, by)
        return changed

    def remove_network(self, cidr: str, by: str) -> None:
        """Remove a network."""
        self._remove("network", cidr, by)

    def add_listener(self, values: Values, by: str) -> Listener:
        """Add a place where mail comes in."""
        made: Listener = self._add("listener", values, by)
        return made

    def change_listener(self, name: str, values: Values, by: str) -> Listener:
        """Change settings of a listener. Its name stays."""
        changed: Listener = self._change("listener", name, values, by)
        return changed

    def remove_listener(self, name: str, by: str) -> None:
        """Remove a listener: no mail comes in there any more."""
        self._remove("listener", name, by)

    def arrange(
        self, settings: Mapping[str, str | None], listeners: Sequence[Values] | None, by: str
    ) -> None:
        """Make and change single settings, all or none; None takes one back.

        With `listeners` these are all that are made beside the configuration from then on.
        """
        problems = [each for key in settings for each in self._setting_faults(key, settings[key])]
        wanted: dict[str, Listener] = {}
        for values in listeners or ():
            try:
                self._check_not_locked("listener", str(values.get("name", "")))
                listener: Listener = built("listener", values)
                wanted[listener.name] = listener
            except Rejected as rejected:
                problems += rejected.problems
        if problems:
            raise Rejected(problems)
        with self._checked() as (connection, before):
            for key, value in settings.items():
                there = any(each.key == key for each in before.settings)
                change = Change(connection, self._vault, by, "setting", key, there, ())
                if value is not None:
                    change.put(Setting(key, value), "setting.set", {"value": value})
                elif there:
                    change.remove("setting.unset")
            if listeners is not None:
                self._replace_listeners(connection, before, wanted, by)

    def take_over(self, handover: Handover, by: str) -> tuple[Taken, ...]:
        """Make what another program had, all or nothing; what is there already stays."""
        with self._checked() as (connection, before):
            taking = TakingOver(connection, self._vault, self._read_settings(), before, by)
            return taking.carry_out(handover)

    def _replace_listeners(
        self, connection: Connection, before: Made, wanted: Mapping[str, Listener], by: str
    ) -> None:
        known = {each.name: each for each in before.listeners}
        for name in (*known, *(name for name in wanted if name not in known)):
            change = Change(connection, self._vault, by, "listener", name, known.get(name), ())
            if name not in wanted:
                change.remove("listener.removed")
            elif wanted[name] != known.get(name):
                done = "changed" if name in known else "added"
                told = {"settings": sorted(document_of(wanted[name]))}
                change.put(wanted[name], f"listener.{done}", told)

    def _setting_faults(self, key: str, value: str | None) -> Sequence[Problem]:
        try:
            self._check_not_locked("setting", key)
        except Rejected as rejected:
            return rejected.problems
        return read(key, value, place_of("setting", key))[1] if value is not None else ()

    def _add(self, table: str, values: Values, by: str) -> Any:
        row = built(table, values)
        with self._changing(table, getattr(row, NAMES[table]), by) as change:
            if change.before is not None:
                reject(change.place, "is there already", "Change that one, or remove it first.")
            change.put(row, f"{table}.added", {"settings": sorted(values)})
        return row

    def _change(self, table: str, name: str, values: Values, by: str) -> Any:
        with self._changing(table, name, by) as change:
            wanted = {**document_of(change.there()), **values}
            row = built(table, {key: value for key, value in wanted.items() if value is not None})
            if key_of(table, getattr(row, NAMES[table])) != change.key:
                remedy = "Add a new one and remove this one."
                reject(f"{change.place}  {NAMES[table]}", "cannot be changed", remedy)
            change.put(row, f"{table}.changed", {"settings": sorted(values)})
        return row

    def _remove(self, table: str, name: str, by: str) -> None:
        with self._changing(table, name, by) as change:
            change.there()
            change.remove(f"{table}.removed")

    @contextmanager
    def _changing(self, table: str, name: str, by: str) -> Iterator[Change]:
        """One change, whose transaction holds when what comes of it has no new fault."""
        key = key_of(table, name)
        self._check_not_locked(table, name)
        with self._checked() as (connection, before):
            there = {key_of(table, getattr(row, NAMES[table])): row for row in before.of(table)}
            yield Change(connection, self._vault, by, table, key, there.get(key), sorted(there))

    def _check_not_locked(self, table: str, name: str) -> None:
        configured = self._read_settings()
        if merge.origin(configured, table, key_of(table, name)) == "file":
            place = merge.place_in(configured, table, name)
            reject(
                f"{table} {name}",
                f"is set in the configuration{f' ({place})' if place else ' file'}, which no"
                " command changes",
                "Change it there, then: m365gw reload",
            )

    @contextmanager
    def _checked(self) -> Iterator[tuple[Connection, Made]]:
        """A transaction, and what was before it; it holds when it makes no new fault."""
        configured = self._read_settings()
        with self._database.writing() as connection:
            connection.execute(update(revision).values(number=revision.c.number + 1))  # our turn
            before = self._entries.read_in(connection)
            yield connection, before
            new = merge.problems_of(configured, self._entries.read_in(connection))
            for old in merge.problems_of(configured, before):
                new.pop(old, None)
            if new:
                raise Rejected(list(new.values()))
