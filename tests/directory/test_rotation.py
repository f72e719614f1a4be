"""A new key for all that is sealed, and a crash at any moment of it."""

from __future__ import annotations

from threading import Event, Thread
from typing import Any

from m365gw.directory.rotation import rotate
from m365gw.directory.seal import Seal, SealError
from m365gw.directory.sealed_file import SealedFile
from m365gw.directory.vault import Vault, VaultError
from tests.directory.databases import DatabaseTestCase, OnPostgresql


class Crash(BaseException):
    """The process ends here."""


class RotationTests(DatabaseTestCase):
    """On either database."""

    def setUp(self) -> None:
        super().setUp()
        for name in ("a", "b"):
            self.vault.store(name, name.encode())
        self.file = SealedFile(self.state_dir, "tls/key", self.vault.seal)
        self.file.write(b"c")
        self.old = self.keys()

    def keys(self) -> list[bytes]:
        return self.vault.seal.file.read_bytes().split()

    def rotate(self, **how: bool) -> tuple[int, list[str]]:
        return rotate(self.database, self.vault, [self.file], **how)

    def assert_all_opens(self) -> None:
        other = Vault(self.opened(), self.state_dir)
        self.assertEqual([other.load(name) for name in other.names()], [b"a", b"b"])
        self.assertEqual(SealedFile(self.state_dir, "tls/key", other.seal).read(), b"c")

    def test_the_old_key_is_gone_and_all_opens(self) -> None:
        """Those who use the vault meanwhile need not be told."""
        self.assertEqual(self.rotate(), (2, []))
        self.assertEqual(len(self.keys()), 1)
        self.assertNotEqual(self.keys(), self.old)
        self.assert_all_opens()

    def test_a_crash_anywhere_loses_nothing(self) -> None:
        """Before and after each write of the key file; rotated again, only a new key is left."""
        for number in range(4):
            write, calls = Seal._write, []

            def crash(
                seal: Seal, keys: list[bytes], at: int = number, made: Any = calls, to: Any = write
            ) -> None:
                made.append(keys)
                if at == 2 * len(made) - 2:
                    raise Crash
                to(seal, keys)
                if at == 2 * len(made) - 1:
                    raise Crash

            with self.subTest(crash=number):
                self.patch(Seal, "_write", crash)
                self.assertRaises(Crash, self.rotate)
                self.patch(Seal, "_write", write)
                self.assert_all_opens()
                self.rotate()
                self.assertEqual(len(self.keys()), 1)
                self.assert_all_opens()

    def test_who_stores_meanwhile_waits(self) -> None:
        """A secret sealed by the old key behind the back of the rotation would be lost."""
        begun, begin = Event(), Seal.begin_rotation
        storing = Thread(target=lambda: (begun.wait(), self.vault.store("c", b"c")))
        storing.start()

        def begin_slowly(seal: Seal) -> None:
            begun.set()
            storing.join(0.1)
            self.assertTrue(storing.is_alive())
            begin(seal)

        self.patch(Seal, "begin_rotation", begin_slowly)
        self.rotate()
        storing.join()
        self.assertEqual(self.vault.load("c"), b"c")

    def test_what_does_not_open_keeps_the_keys(self) -> None:
        """It is named, and only forgotten when that is asked for."""
        self.vault.seal.file.unlink()
        self.assertIn("is not there", str(self.assertRaises(VaultError, self.rotate)))
        self.assertEqual(self.rotate(forget_lost=True), (0, ["a", "b"]))
        self.assertEqual(self.vault.names(), [])
        self.vault.store("c", b"c")
        self.assertEqual(self.vault.load("c"), b"c")

    def test_a_key_nobody_can_look_at_is_not_lost(self) -> None:
        """So nothing is forgotten for it."""
        keys = self.vault.seal.file.parent
        aside = keys.rename(keys.with_name("aside"))
        keys.symlink_to(keys)  # which no right lets root follow
        with self.assertRaises((SealError, VaultError)):
            self.rotate(forget_lost=True)
        keys.unlink()
        aside.rename(keys)
        self.assert_all_opens()

    def test_a_file_that_does_not_open_is_not_written(self) -> None:
        """Whoever writes one is told when the keys do not open it."""
        self.patch(Seal, "open", lambda *_: None)
        self.assertRaises(SealError, self.file.write, b"d")

    def test_a_damaged_secret(self) -> None:
        """The others stay as they are until somebody has decided."""
        self.vault.seal.file.write_bytes(Seal(self.mktemp()).file.name.encode())
        self.assertIn("holds no valid key", str(self.assertRaises(VaultError, self.rotate)))
        self.vault.seal.file.write_bytes(self.old[0])
        self.assert_all_opens()


class RotationOnPostgresqlTests(OnPostgresql, RotationTests):
    """The same on PostgreSQL."""
