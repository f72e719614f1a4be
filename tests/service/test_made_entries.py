"""The entries made beside the configuration while the gateway runs, with and without a database."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Listener, Settings
from m365gw.directory.database import Database
from m365gw.directory.entries import Entries
from m365gw.directory.last_known import LastKnown
from m365gw.directory.registry import Registry
from m365gw.directory.vault import Vault
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.service.directory_watch import LOOK_EVERY, DirectoryWatch
from m365gw.service.made_entries import MadeEntries

SETTINGS = Settings(listener=(Listener(name="submission", endpoint="tcp:587"),))
MAILBOX = {
    "address": "relay@contoso.com",
    "flow": "secret",
    "tenant": "contoso.com",
    "client_id": "x",
    "client_secret": "s3cret",
}


class AtOnce:
    """Threads that answer at once."""

    async def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)


class MadeEntriesTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.state_dir = str(Path(self.mktemp()).absolute())
        self.file = Path(self.state_dir, "state.db")
        self.database = Database("", self.state_dir)
        self.vault = Vault(self.database, self.state_dir)
        self.registry = Registry(self.database, self.vault, lambda: SETTINGS)
        self.made = self.after_a_start()

    def after_a_start(self) -> MadeEntries:
        database = Database("", self.state_dir)
        vault = Vault(database, self.state_dir)
        last_known = LastKnown(self.state_dir, vault.seal)
        return MadeEntries(Entries(database, vault), vault, last_known)

    def mailboxes(self, made: MadeEntries) -> list[tuple[str, str]]:
        merged = made.merged(SETTINGS)
        return [(mailbox.address, mailbox.client_secret) for mailbox in merged.mailbox]


class MadeEntriesTests(MadeEntriesTestCase):
    def test_without_its_database(self) -> None:
        """It goes on with what it knows, and starts with what was last known, secrets and all."""
        self.registry.add_mailbox(MAILBOX, "anna")
        known = [("relay@contoso.com", "s3cret")]
        self.assertEqual(self.mailboxes(self.made), known)
        self.assertNotEqual(self.made.revision, None)
        self.file.unlink()
        for made in (self.made, self.after_a_start()):
            self.assertEqual(self.mailboxes(made), known)
            self.assertIsNone(made.revision)
            self.assertTrue(made.failure)

    def test_what_is_kept_is_sealed(self) -> None:
        """It has secrets in it."""
        self.registry.add_mailbox(MAILBOX, "anna")
        self.mailboxes(self.made)
        kept = Path(self.state_dir, "last-known-entries").read_bytes()
        self.assertNotIn(b"contoso", kept)
        self.assertNotIn(b"s3cret", kept)

    def test_neither_database_nor_key(self) -> None:
        """It starts with the configuration alone, and says both."""
        self.registry.add_mailbox(MAILBOX, "anna")
        self.mailboxes(self.made)
        self.file.unlink()
        self.vault.seal.file.unlink()
        made = self.after_a_start()
        self.assertEqual(self.mailboxes(made), [])
        self.assertIn("cannot be read either", made.failure)

    def test_a_lost_key_alone(self) -> None:
        """The mailbox waits for it, and so does its mail; what to do is said, and tried again."""
        self.registry.add_mailbox(MAILBOX, "anna")
        self.vault.seal.file.unlink()
        self.assertEqual(self.mailboxes(self.made), [])
        self.assertIn("Restore it from a backup", str(self.made.problems[0]))
        self.assertIsNone(self.made.revision)

    def test_a_state_folder_that_takes_nothing(self) -> None:
        """The entries hold; that they are not kept for another start is said."""
        self.registry.add_mailbox(MAILBOX, "anna")
        self.made.merged(SETTINGS)

        def refuse(*_: object) -> None:
            raise OSError(28, "No space left on device")

        self.patch(os, "fsync", refuse)
        self.assertEqual(self.mailboxes(self.made), [("relay@contoso.com", "s3cret")])
        self.assertIn("not kept for a start without the database", str(self.made.problems[0]))


class DirectoryWatchTests(MadeEntriesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.clock, self.output = Clock(), io.StringIO()
        self.refreshed: list[list[tuple[str, str]]] = []
        log = EventLog(self.output, hostname="gw", format="json")
        self.made.merged(SETTINGS)
        incidents = Incidents(log, self.clock.seconds)
        self.watch = DirectoryWatch(self.made, AtOnce(), self.refresh, self.clock, incidents)
        self.watch.start()

    async def refresh(self) -> None:
        self.refreshed.append(self.mailboxes(self.made))

    def said(self, event: str) -> int:
        lines = self.output.getvalue().splitlines()
        return sum(json.loads(line)["event"] == event for line in lines)

    def test_what_another_process_has_changed(self) -> None:
        """It is taken within seconds, once."""
        self.clock.advance(LOOK_EVERY)
        self.assertEqual(self.refreshed, [])
        self.registry.add_mailbox(MAILBOX, "anna")
        for _ in range(3):
            self.clock.advance(LOOK_EVERY)
        self.assertEqual(self.refreshed, [[("relay@contoso.com", "s3cret")]])

    def test_a_database_that_is_gone_for_a_while(self) -> None:
        """One incident; once it is back, with whatever in it, it is read anew."""
        aside = self.file.rename(f"{self.file}.aside")
        for _ in range(3):
            self.clock.advance(LOOK_EVERY)
        self.assertEqual((self.said("incident.opened"), self.said("incident.closed")), (1, 0))
        self.assertIn("directory-unreachable", self.output.getvalue())
        aside.rename(self.file)
        for _ in range(3):
            self.clock.advance(LOOK_EVERY)
        self.assertEqual((self.said("incident.opened"), self.said("incident.closed")), (1, 1))
        self.assertEqual(len(self.refreshed), 1)

    def test_entries_that_do_not_fit(self) -> None:
        """One incident names them, until they do."""
        self.registry.add_mailbox(MAILBOX, "anna")
        key = self.vault.seal.file.rename(f"{self.vault.seal.file}.aside")
        self.clock.advance(LOOK_EVERY)
        self.assertIn("directory-entries", self.output.getvalue())
        key.rename(self.vault.seal.file)
        self.clock.advance(LOOK_EVERY)
        self.assertEqual((self.said("incident.opened"), self.said("incident.closed")), (1, 1))

    def test_stop(self) -> None:
        """Nothing is looked at any more."""
        self.watch.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
