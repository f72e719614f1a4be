"""Backups: all that a gateway is, sealed, and put back whole or not at all."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Settings
from m365gw.directory import backup, restore
from m365gw.directory.audit import Audit
from m365gw.directory.backup import Backup, BackupError
from m365gw.directory.database import Database
from m365gw.directory.entries import Entries
from m365gw.directory.passphrase import NotOpened, opened, sealed
from m365gw.directory.registry import Registry
from m365gw.directory.schema import metadata
from m365gw.directory.vault import Vault
from tests.directory.databases import DatabaseTestCase, OnPostgresql, server

_VALUES: dict[type, Any] = {str: "text", bytes: b"\0\xff", float: 1.5, int: 7}
PHRASE = "correct horse battery staple"
MAILBOX = {
    "address": "relay@contoso.com",
    "flow": "secret",
    "tenant": "contoso.com",
    "client_id": "x",
    "client_secret": "s3cret-of-the-app",
}


class PassphraseTests(SynchronousTestCase):
    def test_opens_with_the_passphrase_only(self) -> None:
        """And shows nothing without it, not even how often something is repeated."""
        octets = sealed(PHRASE, b"s3cret " * 1000)
        self.assertEqual(opened(PHRASE, octets), b"s3cret " * 1000)
        self.assertNotIn(b"s3cret", octets)
        error = self.assertRaises(NotOpened, opened, "another one", octets)
        self.assertIn("passphrase is another one", str(error))

    def test_what_is_no_backup(self) -> None:
        """It is said, whatever is wrong with it; terms that would eat all memory are not tried."""
        good = sealed(PHRASE, b"x").split(b"\n")
        terms = json.loads(good[1])
        greedy = json.dumps({**terms, "memory": 1 << 40}).encode()
        for octets, said in (
            (b"", "no backup"),
            (b"rubbish", "no backup"),
            (b"m365gw backup 2\n{}", "newer m365gw"),
            (good[0], "damaged"),
            (b"\n".join([good[0], b"[]", good[2]]), "damaged"),
            (b"\n".join([good[0], greedy, good[2]]), "damaged"),
            (b"\n".join([good[0], good[1], good[2][:-9]]), "damaged"),
        ):
            with self.subTest(octets=octets[:30]):
                self.assertIn(said, str(self.assertRaises(NotOpened, opened, PHRASE, octets)))


class BackupTestCase(DatabaseTestCase):
    def setUp(self) -> None:
        super().setUp()
        Registry(self.database, self.vault, Settings).add_mailbox(MAILBOX, "anna")
        self.vault.store("sign-in relay@contoso.com", b"refresh token")
        Path(self.state_dir, "tls").mkdir()
        Path(self.state_dir, "tls", "key.pem").write_bytes(b"\0private")
        self.config = Path(self.mktemp()).absolute() / "m365gw.toml"
        self.config.parent.mkdir()
        self.config.write_text("state_dir = 'state'")

    def made(self) -> Backup:
        return backup.make(self.database, self.state_dir, self.config, [])

    def assert_restored(self, url: str, state_dir: str) -> None:
        """It is what it was, and goes on from there."""
        database = Database.open(url, state_dir)
        self.addCleanup(database.close)
        vault = Vault(database, state_dir)
        made = Entries(database, vault).read()
        self.assertEqual(made, Entries(self.database, self.vault).read())
        self.assertEqual(vault.load("sign-in relay@contoso.com"), b"refresh token")
        registry = Registry(database, vault, Settings)
        registry.change_mailbox("relay@contoso.com", {"tenant": "contoso.net"}, "bert")
        actions = [change.action for change in Audit(database).changes()]
        self.assertEqual(actions, ["mailbox.changed", "mailbox.added"])


class BackupTests(BackupTestCase):
    """From either database."""

    def test_what_is_in_it_comes_back_elsewhere(self) -> None:
        """In SQLite, whatever it came from: entries, secrets, history, certificates."""
        there = self.mktemp()
        restore.put_back(backup.read(self.made().octets()), "", there)
        self.assert_restored("", there)
        self.assertEqual(Path(there, "tls", "key.pem").read_bytes(), b"\0private")
        self.assertEqual({p.name for p in Path(there).iterdir()} - {"state.db-wal", "state.db-shm"},
                         {"state.db", "keys", "tls"})  # fmt: skip

    def test_every_table_comes_back(self) -> None:
        """A row of each, whatever tables there will be."""
        with self.database.writing() as connection:
            for table in metadata.sorted_tables:
                connection.execute(table.delete())
                values = {each.name: _VALUES[each.type.python_type] for each in table.columns}
                connection.execute(table.insert().values(values))
        made, there = self.made(), self.mktemp()
        restore.put_back(backup.read(made.octets()), "", there)
        database = Database.open("", there)
        self.addCleanup(database.close)
        again = backup.make(database, there, self.config, [])
        self.assertEqual(again.tables, made.tables)
        self.assertEqual({len(rows) for rows in again.tables.values()}, {1})

    def test_sealed_it_shows_no_secret(self) -> None:
        """In no form; but for the seal it would."""
        octets = self.made().octets()
        self.assertIn(base64.b64encode(self.vault.seal.file.read_bytes()), octets)
        closed = sealed(PHRASE, octets)
        for secret in (b"relay@contoso", b"refresh token", self.vault.seal.file.read_bytes()[:40]):
            for form in (secret, base64.b64encode(secret)[:-4], secret.hex().encode()):
                self.assertNotIn(form, closed)

    def test_a_newer_version(self) -> None:
        """It is refused, and what is there stays."""
        made = self.made()
        newer = backup.read(made.octets().replace(b'"revision": "0', b'"revision": "9'))
        there = self.mktemp()
        restore.put_back(made, "", there)
        error = self.assertRaises(BackupError, restore.put_back, newer, "", there)
        self.assertIn("newer than this one", str(error))
        self.assert_restored("", there)

    def test_what_is_none(self) -> None:
        """It opened, but somebody else made it."""
        for octets in (b"", b"[]", b"{}", b'{"made_at": "x"}'):
            self.assertRaises(BackupError, backup.read, octets)
        names: Any = {**json.loads(self.made().octets()), "state": {"../x": {"base64": ""}}}
        bad = backup.read(json.dumps(names).encode())
        self.assertRaises(BackupError, restore.put_back, bad, "", self.mktemp())

    def test_keys_that_change_meanwhile(self) -> None:
        """Key and secrets belong together, or there is no backup."""
        tables, count = backup._tables, iter(range(100))

        def change(database: Database) -> dict[str, backup.Rows]:
            Path(self.state_dir, "keys", "other").write_text(str(next(count)))
            return tables(database)

        self.patch(backup, "_tables", change)
        error = self.assertRaises(BackupError, self.made)
        self.assertIn("keys rotate", str(error))


class BackupOnPostgresqlTests(OnPostgresql, BackupTests):
    """From PostgreSQL, and to it."""

    def test_to_another_database(self) -> None:
        """What was in that is gone, and numbers go on behind those that were restored."""
        url, there = server().new_database(), self.mktemp()
        other = Database.open(url, there)
        Vault(other, there).store("sign-in other@contoso.com", b"x")
        other.close()
        self.assertTrue(restore.is_in_use(url, there))
        restore.put_back(self.made(), url, there)
        self.assert_restored(url, there)


class CutOffTests(BackupTestCase):
    """A restore that ends in the middle."""

    def test_before_it_was_ready(self) -> None:
        """What was there is there."""
        made, there = self.made(), self.mktemp()
        restore.put_back(made, "", there)
        rename = os.rename

        def crash(old: Any, new: Any) -> None:
            if Path(new).name == restore.READY:
                raise OSError(5, "Input/output error")
            rename(old, new)

        self.patch(os, "rename", crash)
        self.assertRaises(OSError, restore.put_back, made, "", there)
        self.assertFalse(restore.finish(there))
        self.assert_restored("", there)

    def test_while_it_was_put_in_place(self) -> None:
        """After each move: the next start goes on where it ended."""
        made, there = self.made(), self.mktemp()
        for number in range(1, 12):
            restore.put_back(made, "", there)
            Database.open("", there).close()
            Path(there, "state.db-wal").write_bytes(b"of the one before")
            calls: list[str] = []
            rename = os.rename

            def crash(
                old: Any, new: Any, at: int = number, made: Any = calls, to: Any = rename
            ) -> None:
                if Path(there, restore.READY).exists():
                    made.append(str(old))
                    if len(made) == at:
                        raise OSError(5, "Input/output error")
                to(old, new)

            with self.subTest(move=number):
                self.patch(os, "rename", crash)
                try:
                    restore.put_back(made, "", there)
                except OSError:
                    self.patch(os, "rename", rename)
                    self.assertTrue(restore.finish(there))
                self.patch(os, "rename", rename)
                self.assertFalse(restore.finish(there))
                self.assert_restored("", there)

    def test_restored_again_after_it_was_cut_off(self) -> None:
        """The first one is ended before the second begins."""
        made, there = self.made(), self.mktemp()
        Path(there, "keys").mkdir(parents=True)
        Path(there, "keys", "seal").write_bytes(b"of the one before")
        rename = os.rename

        def crash(old: Any, new: Any) -> None:
            rename(old, new)
            if Path(new).parent.name == restore.BEFORE:
                raise OSError(5, "Input/output error")

        self.patch(os, "rename", crash)
        self.assertRaises(OSError, restore.put_back, made, "", there)
        self.patch(os, "rename", rename)
        restore.put_back(made, "", there)
        self.assert_restored("", there)
        self.assertTrue(Path(there, restore.BEFORE, "state.db").exists())
