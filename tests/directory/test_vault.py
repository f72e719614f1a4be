"""The vault: sealed at rest, whole or not at all, and honest when it cannot be opened."""

from __future__ import annotations

import stat
from pathlib import Path

from cryptography.fernet import Fernet
from sqlalchemy import select, update

from m365gw.directory.audit import Audit
from m365gw.directory.schema import revision, sealed
from m365gw.directory.vault import Vault, VaultError
from tests.directory.databases import DatabaseTestCase, OnPostgresql


class VaultTests(DatabaseTestCase):
    """On either database."""

    def setUp(self) -> None:
        super().setUp()
        self.key = Path(self.state_dir, "keys", "seal")

    def again(self) -> Vault:
        """The vault as another process sees it."""
        return Vault(self.opened(), self.state_dir)

    def stored(self, name: str) -> bytes:
        """What is at rest under this name."""
        with self.database.reading() as connection:
            row = connection.execute(select(sealed.c.secret).where(sealed.c.name == name))
            return bytes(row.scalar_one())

    def put(self, name: str, octets: bytes) -> None:
        """Spoil what is at rest."""
        with self.database.writing() as connection:
            connection.execute(update(sealed).where(sealed.c.name == name).values(secret=octets))

    def test_keeps_a_secret_over_a_restart(self) -> None:
        """What was stored is there for the next process."""
        self.vault.store("relay@contoso.com", b"refresh")
        self.vault.store("relay@contoso.com", b"refreshed")
        self.assertEqual(self.again().load("relay@contoso.com"), b"refreshed")

    def test_marks(self) -> None:
        """Each secret of a kind has one, which is another when it, or the key, was replaced."""
        for name in ("sign-in a", "sign-in b", "client-secret a"):
            self.vault.store(name, b"first")
        before = self.vault.marks("sign-in")
        self.assertEqual(set(before), {"sign-in a", "sign-in b"})
        self.again().store("sign-in a", b"second")
        after = self.vault.marks("sign-in")
        changed = [name for name in before if before[name] != after[name]]
        self.assertEqual(changed, ["sign-in a"])
        self.vault.seal.begin_rotation()
        self.assertNotEqual(self.vault.marks("sign-in")["sign-in b"], after["sign-in b"])

    def test_amended_secret_is_news(self) -> None:
        """A secret among settings that is replaced is noticed by a running service, and audited."""
        before = self.number()
        self.vault.store("certificate a", b"both")
        self.assertEqual(self.number(), before)
        retired = "mailbox.certificate-retired"
        self.assertTrue(self.vault.amend("certificate a", b"both", b"new one", retired))
        self.assertEqual(self.again().load("certificate a"), b"new one")
        self.assertEqual(self.number(), before + 1)
        (line,) = Audit(self.database).changes(1)
        self.assertEqual(
            (line.by, line.action, line.subject),
            ("gateway", "mailbox.certificate-retired", "certificate a"),
        )

    def test_only_what_is_still_there_is_replaced(self) -> None:
        """What somebody stored or removed meanwhile stays as he left it."""
        self.vault.store("sign-in a", b"first")
        self.assertTrue(self.vault.replace("sign-in a", b"first", b"second"))
        self.assertFalse(self.vault.replace("sign-in a", b"first", b"late"))
        self.assertEqual(self.again().load("sign-in a"), b"second")
        before = self.number()
        self.assertFalse(self.vault.amend("sign-in a", b"first", b"late", "mailbox.changed"))
        self.assertEqual(self.number(), before)
        self.vault.remove("sign-in a")
        self.assertFalse(self.vault.replace("sign-in a", b"second", b"late"))
        self.assertIsNone(self.again().load("sign-in a"))

    def test_what_does_not_open_is_not_replaced(self) -> None:
        """Nobody knows whether that was the old one."""
        self.vault.store("sign-in a", b"first")
        self.put("sign-in a", b"damaged")
        self.assertRaises(VaultError, self.vault.replace, "sign-in a", b"first", b"second")
        self.assertEqual(self.stored("sign-in a"), b"damaged")

    def number(self) -> int:
        """The revision of the entries."""
        with self.database.reading() as connection:
            return int(connection.execute(select(revision.c.number)).scalar_one())

    def test_unknown_name(self) -> None:
        """A secret that was never stored is None, not an error."""
        self.assertIsNone(self.vault.load("nobody"))

    def test_names_and_removal(self) -> None:
        """What is there is told by name; what was removed is not there, and removed again."""
        for name in ("b", "a", "c"):
            self.vault.store(name, b"1")
        self.vault.remove("b")
        self.vault.remove("b")
        self.assertEqual(self.vault.names(), ["a", "c"])
        self.assertIsNone(self.vault.load("b"))

    def test_nothing_is_readable_at_rest(self) -> None:
        """The row does not show the secret, and the key is for its owner only."""
        self.vault.store("relay@contoso.com", b"very-secret-token")
        self.assertNotIn(b"very-secret", self.stored("relay@contoso.com"))
        self.assertEqual(stat.S_IMODE(self.key.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(self.key.parent.stat().st_mode), 0o700)

    def test_a_secret_under_another_name_does_not_open(self) -> None:
        """One mailbox's token cannot be slipped in as another's."""
        self.vault.store("a", b"token of a")
        self.vault.store("b", b"token of b")
        self.put("b", self.stored("a"))
        error = self.assertRaises(VaultError, self.vault.load, "b")
        self.assertNotIn("token of a", str(error))

    def test_damage_and_wrong_keys_are_told_with_the_remedy(self) -> None:
        """What was damaged, a key that is another one and one that is none say what to do."""
        self.vault.store("a", b"1")
        sound = self.stored("a")
        self.put("a", b"rubbish")
        said = str(self.assertRaises(VaultError, self.vault.load, "a"))
        self.assertIn("a: does not open with the keys in", said)
        self.assertIn("sign the mailbox in again", said)
        self.put("a", sound)
        self.key.write_bytes(Fernet.generate_key())
        self.assertIn("does not open", str(self.assertRaises(VaultError, self.vault.load, "a")))
        self.key.write_bytes(b"no key\n")
        said = str(self.assertRaises(VaultError, self.vault.load, "a"))
        self.assertIn("holds no valid key", said)

    def test_a_lost_key_is_not_made_anew(self) -> None:
        """That would hide the loss, and seal what comes under a key no backup has."""
        self.vault.store("a", b"1")
        self.key.unlink()
        for ask in (lambda: self.vault.load("a"), lambda: self.vault.store("b", b"2")):
            said = str(self.assertRaises(VaultError, ask))
            self.assertIn("is not there", said)
            self.assertIn("Restore it", said)
        self.assertFalse(self.key.exists())

    def test_a_new_first_key_seals_and_the_old_still_opens(self) -> None:
        """Keys rotate: the first seals, all of them open, and a changed file holds at once."""
        self.vault.store("a", b"1")
        self.key.write_bytes(Fernet.generate_key() + b"\n" + self.key.read_bytes())
        self.assertEqual(self.vault.load("a"), b"1")
        self.vault.store("b", b"2")
        self.key.write_bytes(self.key.read_bytes().split()[0])
        self.assertEqual(self.vault.load("b"), b"2")
        self.assertRaises(VaultError, self.vault.load, "a")

    def test_failure_to_write_keeps_the_old_secret(self) -> None:
        """A database that refuses costs the new secret, not the old one."""
        self.vault.store("a", b"old")
        with self.assertRaises(ZeroDivisionError), self.database.writing() as connection:
            self.vault.put(connection, "a", b"new")
            raise ZeroDivisionError
        self.assertEqual(self.vault.load("a"), b"old")

    def test_any_name_and_any_secret(self) -> None:
        """Names come from outside, and secrets are octets."""
        for name in ("x", "../../etc/passwd", "a'; DROP TABLE sealed; --", "fäx \U0001f4e0", "%s"):
            for secret in (b"", b"\0\xff", name.encode()):
                self.vault.store(name, secret)
                self.assertEqual(self.vault.load(name), secret)


class VaultOnPostgresqlTests(OnPostgresql, VaultTests):
    """The same on PostgreSQL."""
