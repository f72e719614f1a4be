"""The directory, wired: the database, what is read from it, and the threads that wait for it.

Nothing here keeps mail waiting: no database at a start is an incident (`directory_watch`), and what
cannot be written is tried again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from m365gw.config.settings import Settings
from m365gw.directory.database import Database, DirectoryError
from m365gw.directory.entries import Entries
from m365gw.directory.last_known import LastKnown
from m365gw.directory.last_use import LastUse, Use, read_uses, write_uses
from m365gw.directory.vault import Vault
from m365gw.edge.login.usage import Usage
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.relay.threads import Threads
from m365gw.service.directory_watch import DirectoryWatch
from m365gw.service.made_entries import MadeEntries

THREADS = 2

_diagnostics = Logger()


class Directory:
    """The directory of one gateway. Building it reads what was last used, so it blocks.

    Raises `DirectoryError` for a database that can never be used: its url, its driver.
    """

    def __init__(
        self, settings: Settings, incidents: Incidents, reactor: Any, log: EventLog
    ) -> None:
        self._reactor = reactor
        self._incidents = incidents
        self.database = Database(settings.directory.url, settings.state_dir)
        self.vault = Vault(self.database, settings.state_dir)
        entries = Entries(self.database, self.vault)
        last_known = LastKnown(settings.state_dir, self.vault.seal)
        self.made = MadeEntries(entries, self.vault, last_known)
        self.calls = Threads(reactor, THREADS, "directory", may_be_left=True)
        self.usage = Usage(LastUse(self._uses()), reactor, self._write_uses, log)

    def start(self, refresh: Callable[[], Awaitable[Any]]) -> None:
        """Look from now on whether something has changed; `refresh` then takes it."""
        self.watch = DirectoryWatch(self.made, self.calls, refresh, self._reactor, self._incidents)
        self.watch.start()

    async def stop(self) -> None:
        """Let go of threads and connections. `watch` was stopped before."""
        await self.calls.stop()
        self.database.close()

    def _uses(self) -> list[Use]:
        try:
            return read_uses(self.database)
        except DirectoryError as error:
            _diagnostics.warn("when passwords were last used is not known: {why}", why=str(error))
            return []

    def _write_uses(self, uses: Sequence[Use]) -> Deferred[None]:
        return Deferred.fromCoroutine(self.calls.call(write_uses, self.database, uses))
