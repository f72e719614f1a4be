"""The entries made beside the configuration, as the gateway knows them.

A gateway that cannot read them starts with those it last knew, and goes on with those it knows.
"""

from __future__ import annotations

from m365gw.config.problems import Problem
from m365gw.config.settings import Settings
from m365gw.directory.database import DirectoryError
from m365gw.directory.entries import Entries, Made
from m365gw.directory.last_known import LastKnown
from m365gw.directory.merge import merged
from m365gw.directory.seal import SealError
from m365gw.directory.vault import Vault, VaultError


class MadeEntries:
    """The entries as they are known. `merged` blocks; all else is the reactor's."""

    def __init__(self, entries: Entries, vault: Vault, last_known: LastKnown) -> None:
        self._entries = entries
        self._vault = vault
        self._last_known = last_known
        self._made: Made | None = None
        self.failure = ""  # why they could not be read the last time
        self.problems: tuple[Problem, ...] = ()  # of the last merge

    @property
    def known(self) -> Made:
        """The entries as they were last read."""
        return self._made or Made()

    @property
    def revision(self) -> int | None:
        """Of what is known; None when not all of it could be read from the database."""
        made = self._made
        return None if made is None or made.problems or self.failure else made.revision

    def current_revision(self) -> int:
        """Of the database. Raises `DirectoryError`. Blocking."""
        return self._entries.revision()

    def merged(self, configured: Settings) -> Settings:
        """These settings with the entries beside them, as they are now or were last known."""
        unkept: tuple[Problem, ...] = ()
        try:
            self._made, self.failure = self._entries.read(), ""
            unkept = self._keep(self._made)
        except DirectoryError as error:
            self.failure = str(error)
        if self._made is None:
            self._made = self._kept()
        settings, problems = merged(configured, self._made)
        self.problems = (*problems, *unkept)
        return settings

    def _keep(self, made: Made) -> tuple[Problem, ...]:
        """Keep them for a start without the database; what is wrong when they cannot be."""
        try:
            self._vault.prepare()
            self._last_known.keep(made)
        except (OSError, SealError, VaultError) as error:
            what = "the entries are not kept for a start without the database"
            return (Problem("state_dir", f"{what}: {error}"),)
        return ()

    def _kept(self) -> Made:
        try:
            return self._last_known.read()
        except (OSError, SealError) as error:
            self.failure += f" The entries last known cannot be read either: {error}"
            return Made()
