"""What is made of what was found: what the registry is given, or what it would say to it.

Clear passwords are hashed here, as the last thing before they leave, and only then.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve, frozen

from m365gw.cli.moving.new_passwords import Chest
from m365gw.config.documents import row_from
from m365gw.config.logins import Password
from m365gw.config.problems import Problem
from m365gw.config.settings import Settings
from m365gw.directory import passwords
from m365gw.directory.entries import Made
from m365gw.directory.keys import NAMES, key_of
from m365gw.directory.merge import problems_of
from m365gw.directory.taking_over import Handover
from m365gw.moving.found import Found, Login, Table

_PATHS: Final = MappingProxyType(
    {"mailbox": "/mailboxes", "client": "/clients", "network": "/networks"}
)


@frozen
class Plan:
    """What was found, without the logins that would have no password."""

    found: Found
    source: str

    @classmethod
    def of(cls, found: Found, source: str, *, with_new: bool) -> Plan:
        """With `with_new` a login gets a new password where it needs one; else it is left out."""
        for login in [each for each in found.logins.values() if not with_new and _needs(each)]:
            why = f"{login.why_new}. For a new one: --new-passwords FILE"
            found.leaves_out(f"login {login.name}", why)
            del found.logins[login.name]
        return cls(found, source)

    def handover(self, chest: Chest) -> Handover:
        """What the registry is given."""
        clients = [self._client(login, chest) for login in self.found.logins.values()]
        entries = {
            "mailbox": list(self.found.mailboxes.values()),
            "client": clients,
            "network": list(self.found.networks.values()),
        }
        return Handover(self.source, entries, self.found.sign_ins)

    def _client(self, login: Login, chest: Chest) -> Table:
        if _needs(login):
            stored = chest.make(login.name)
        else:
            stored = login.hash or passwords.hash_chosen(login.clear)
        return {**login.values, "password": [{"hash": stored, "label": "imported"}]}

    def foreseen(self, configured: Settings, get: Callable[[str], Any]) -> list[Table]:
        """What would become of each entry; nothing is hashed or made."""
        done = []
        rows: dict[str, list[Any]] = {}
        problems: list[Problem] = []
        there = {
            (table, key_of(table, row[NAMES[table]]))
            for table, path in _PATHS.items()
            for row in get(path)
        }
        for table, values in self._entries():
            name = values[NAMES[table]]
            is_there = (table, key_of(table, name)) in there
            done.append(_row(table, name, "there" if is_there else "new"))
            row, faults = row_from(table, values, name)
            problems += faults
            rows.setdefault(table, []).extend([] if row is None else [row])
        made = Made(
            mailboxes=tuple(rows.get("mailbox", ())),
            clients=tuple(_with_password(row) for row in rows.get("client", ())),
            networks=tuple(rows.get("network", ())),
        )
        problems += problems_of(configured, made).values()
        done += [_row("sign-in", address, "new") for address in self.found.sign_ins]
        return done + [_row(each.place, each.fault, "refused") for each in problems]

    def _entries(self) -> list[tuple[str, Table]]:
        found = self.found
        return [
            *(("mailbox", values) for values in found.mailboxes.values()),
            *(("client", login.values) for login in found.logins.values()),
            *(("network", values) for values in found.networks.values()),
        ]

    def plain(self, entries: list[Table], *, is_made: bool) -> Table:
        """All there is to say, without a secret."""
        return {
            "source": self.source,
            "is_made": is_made,
            "entries": entries,
            "new_passwords": [name for name, each in self.found.logins.items() if _needs(each)],
            "left_out": [{"place": each.place, "why": each.why} for each in self.found.left_out],
            "broken": [{"place": each.place, "why": each.why} for each in self.found.broken],
            "advice": list(self.found.advice),
        }


def _needs(login: Login) -> bool:
    """Whether a login needs a new password."""
    return not (login.clear or login.hash)


def _with_password(client: Any) -> Any:
    """The row with any password, as one without is a fault."""
    return evolve(client, password=(Password(hash=passwords.generate()[1]),))


def _row(table: str, name: str, done: str) -> Table:
    return {"table": table, "name": name, "done": done}
