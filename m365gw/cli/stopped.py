"""The registry without the service: the directory itself, under the same paths as the API's.

Everything in state_dir must belong to the user of the service, so only that user may, or root, who
works as that user. A directory that was never made has no entries, and is not made to be looked at.

Failures: those of the directory, `NotOurs`, `Senseless` for a question that makes none,
`SignInFailed`, and `CannotAct` where the spool cannot be had.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from m365gw.cli.accounts import states_at_rest
from m365gw.cli.main import Invocation
from m365gw.cli.owner import as_owner
from m365gw.config.settings import Settings
from m365gw.directory import sqlite
from m365gw.directory.database import Database
from m365gw.directory.entries import Entries, Made
from m365gw.directory.facts import Facts
from m365gw.directory.last_use import LastUse, read_uses
from m365gw.directory.merge import merged
from m365gw.directory.orders import ORDERS
from m365gw.directory.registry import Registry
from m365gw.directory.state_dir import claim
from m365gw.directory.taking_over import Handover, Taken
from m365gw.directory.vault import Vault


class Senseless(Exception):
    """What was asked makes no sense; the text says why."""


class Stopped:
    """Answers what the service would, and does what it would do."""

    def __init__(self, invocation: Invocation) -> None:
        self._configured: Settings = invocation.settings

    def get(self, path: str) -> Any:
        """/mailboxes, /clients, /networks, /listeners or /settings."""
        facts, uses = self._known()
        today = datetime.now(UTC).date()
        answers: dict[str, Callable[[], Any]] = {
            "/mailboxes": lambda: _with_stops(facts),
            "/clients": lambda: facts.clients(uses, today),
            "/networks": facts.networks,
            "/listeners": facts.listeners,
            "/settings": facts.single_settings,
        }
        return answers[path]()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """An order, /explain, or whether a mailbox may send."""
        if path == "/explain":
            return self._explained(body)
        if path in states_at_rest.PATHS:
            return states_at_rest.StatesAtRest(self.settings, _caller()).post(path, body)
        with self.opened() as database:
            vault = Vault(database, self._configured.state_dir)
            registry = Registry(database, vault, lambda: self._configured)
            return ORDERS[path](**body).carry_out(registry, _caller())

    def take_over(self, handover: Handover) -> tuple[Taken, ...]:
        """Make what another program had, all or nothing."""
        with self.opened() as database:
            vault = Vault(database, self._configured.state_dir)
            registry = Registry(database, vault, lambda: self._configured)
            return registry.take_over(handover, _caller())

    def _explained(self, body: dict[str, Any]) -> Any:
        from m365gw.edge.admission.inquiry import Inquiry, inquire

        facts, _ = self._known()
        asked = Inquiry(**{**body, "recipients": tuple(body["recipients"])})
        try:
            return inquire(facts.settings, facts.configured, asked)
        except ValueError as error:
            raise Senseless(str(error)) from None

    def _known(self) -> tuple[Facts, LastUse]:
        """All entries, and when passwords were last used."""
        configured, made, uses = self._configured, Made(), LastUse()
        if configured.directory.url or _is_there(Path(configured.state_dir, sqlite.FILE)):
            with self.opened() as database:
                made = Entries(database, Vault(database, configured.state_dir)).read()
                uses = LastUse(read_uses(database))
        settings, _ = merged(configured, made)
        return Facts(configured, made, settings), uses

    @property
    def settings(self) -> Settings:
        """Those of the configuration, with the entries made beside it."""
        facts, _ = self._known()
        return facts.settings

    @contextmanager
    def opened(self) -> Iterator[Database]:
        """The database, as the user of the service. Raises `DirectoryError` and `NotOurs`."""
        settings = self._configured
        folder = settings.state_dir
        with as_owner(folder if os.path.exists(folder) else os.path.dirname(folder)):
            claim(folder)
            database = Database.open(settings.directory.url, folder)
            try:
                yield database
            finally:
                database.close()


def _with_stops(facts: Facts) -> list[dict[str, Any]]:
    """Each mailbox, and what stops it, where something did when the service ended."""
    stops = states_at_rest.standings(facts.settings)
    return [row | stops.get(row["address"], {}) for row in facts.mailboxes()]


def _is_there(file: Path) -> bool:
    """Whether there is such a file; what may not be looked at is, and opening it says why not."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _caller() -> str:
    """Who runs this, as the audit names it."""
    user = os.getuid()
    try:
        return f"{pwd.getpwuid(user).pw_name}[{os.getpid()}]"
    except KeyError:
        return f"uid {user}[{os.getpid()}]"
