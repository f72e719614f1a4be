"""The vault: sealed on disk, whole or not at all, and honest when it cannot be opened."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.directory.vault import Vault, VaultError


class VaultTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.vault = Vault(str(self.folder))

    def files(self, room: str) -> list[Path]:
        return sorted((self.folder / room).iterdir())

    def test_keeps_a_secret_over_a_restart(self) -> None:
        """What was stored is there for the next process."""
        self.vault.store("relay@contoso.com", b"refresh")
        self.vault.store("relay@contoso.com", b"refreshed")
        self.assertEqual(Vault(str(self.folder)).load("relay@contoso.com"), b"refreshed")

    def test_unknown_name(self) -> None:
        """A secret that was never stored is None, not an error."""
        self.assertIsNone(self.vault.load("nobody"))

    def test_nothing_is_readable_on_disk(self) -> None:
        """The file shows neither the secret nor opens to other users."""
        self.vault.store("relay@contoso.com", b"very-secret-token")
        for file in self.files("sealed") + self.files("keys"):
            self.assertNotIn(b"very-secret", file.read_bytes())
            self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
            self.assertEqual(stat.S_IMODE(file.parent.stat().st_mode), 0o700)

    def test_no_temporary_file_stays(self) -> None:
        """Each secret is one file."""
        self.vault.store("a", b"1")
        self.assertEqual(len(self.files("sealed")), 1)
        self.assertEqual(len(self.files("keys")), 1)

    def test_a_sealed_file_under_another_name_does_not_open(self) -> None:
        """One mailbox's token cannot be slipped in as another's."""
        self.vault.store("a", b"token of a")
        (of_a,) = self.files("sealed")
        self.vault.store("b", b"token of b")
        (of_b,) = [file for file in self.files("sealed") if file != of_a]
        of_b.write_bytes(of_a.read_bytes())
        error = self.assertRaises(VaultError, self.vault.load, "b")
        self.assertNotIn("token of a", str(error))

    def test_damage_is_told_with_the_remedy(self) -> None:
        """A damaged file and a lost key say what to do."""
        self.vault.store("a", b"1")
        (file,) = self.files("sealed")
        file.write_bytes(b"rubbish")
        self.assertIn(
            "sign the mailbox in again", str(self.assertRaises(VaultError, self.vault.load, "a"))
        )
        (key,) = self.files("keys")
        key.write_bytes(b"no key\n")
        self.assertIn(
            "holds no valid key", str(self.assertRaises(VaultError, self.vault.load, "a"))
        )

    def test_a_new_first_key_seals_and_the_old_still_opens(self) -> None:
        """Keys rotate: the first seals, all of them open."""
        self.vault.store("a", b"1")
        (key,) = self.files("keys")
        other = Vault(self.mktemp())
        other.store("x", b"")
        newer = (Path(other._keys) / "seal").read_bytes()
        key.write_bytes(newer + key.read_bytes())
        self.assertEqual(self.vault.load("a"), b"1")

    def test_failure_to_write_keeps_the_old_secret(self) -> None:
        """A disk that refuses costs the new secret, not the old one."""
        self.vault.store("a", b"old")

        def refuse(*_: object) -> None:
            raise OSError(28, "No space left on device")

        self.patch(os, "fsync", refuse)
        self.assertRaises(VaultError, self.vault.store, "a", b"new")
        self.assertEqual(self.vault.load("a"), b"old")
        self.assertEqual(len(self.files("sealed")), 1)

    @given(st.text(min_size=1, max_size=50), st.binary(max_size=200))
    @settings(deadline=None, max_examples=25)
    def test_any_name_and_any_secret(self, name: str, secret: bytes) -> None:
        """Names from outside never become paths."""
        name = name.encode("utf-8", "ignore").decode() or "x"
        self.vault.store(name, secret)
        self.assertEqual(self.vault.load(name), secret)
        self.assertEqual({entry.name for entry in self.folder.iterdir()}, {"keys", "sealed"})
