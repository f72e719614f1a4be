"""Opening the spool, locking it, and looking on."""

from __future__ import annotations

import os
import stat

from m365gw.spool.health import Corrupt, Unusable
from m365gw.spool.spool import Spool
from tests.spool.cases import CONTENT, SpoolCase


class OpenTests(SpoolCase):
    """Opening, locking, and looking on."""

    def test_everything_is_closed_to_others(self) -> None:
        """Folders 0700 and files 0600, whatever the umask; a wide folder is made narrow."""
        self.accept()
        os.chmod(self.path, 0o755)
        self.reopen()
        for folder, folders, files in os.walk(self.path):
            for name in (".", *folders):
                mode = stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode)
                self.assertEqual(0o700, mode, name)
            for name in files:
                mode = stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode)
                self.assertEqual(0o600, mode, name)

    def test_second_writer_is_refused(self) -> None:
        """The lock tells who has the spool."""
        refused = self.assertRaises(Unusable, self.opened)
        self.assertIn(f"pid {os.getpid()} on a.example", str(refused))

    def test_refused_opening_leaves_nothing_open(self) -> None:
        """Whoever waits for the lock may try for days."""
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            self.assertRaises(Unusable, self.opened)
        self.assertEqual(before, len(os.listdir("/proc/self/fd")))

    def test_link_in_place_of_a_folder_is_refused(self) -> None:
        """A folder of the spool that is a link leads elsewhere."""
        self.spool.close()
        os.rename(os.path.join(self.path, "state"), os.path.join(self.path, "elsewhere"))
        os.symlink("elsewhere", os.path.join(self.path, "state"))
        self.assertRaises(Unusable, self.opened)

    def test_a_foreign_folder_is_left_alone(self) -> None:
        """A spool_dir named by mistake is not taken over: not its rights, not its content."""
        foreign = self.mktemp()
        os.mkdir(foreign, 0o755)
        os.mkdir(os.path.join(foreign, "cron"))
        refused = self.assertRaises(Unusable, Spool.open, foreign, hostname="a.example")
        self.assertIn("it holds cron", str(refused))
        self.assertEqual(0o755, stat.S_IMODE(os.stat(foreign).st_mode))
        self.assertEqual(["cron"], os.listdir(foreign))

    def test_a_first_start_that_was_cut_off_goes_on(self) -> None:
        """Folders without a VERSION are ours when they are named as ours are."""
        os.unlink(os.path.join(self.path, "VERSION"))
        entry = self.accept()
        self.reopen()
        self.assertEqual([entry], list(self.spool.entries()))

    def test_spool_of_another_version_is_refused(self) -> None:
        """A later format is not guessed at."""
        self.spool.close()
        with open(os.path.join(self.path, "VERSION"), "w") as file:
            file.write("3\n")
        for read_only in (False, True):
            refused = self.assertRaises(Unusable, self.opened, read_only=read_only)
            self.assertIn("format b'3\\n'", str(refused))

    def test_ids_go_on_after_a_restart_with_the_clock_set_back(self) -> None:
        """The newest id is remembered in the spool."""
        entry = self.accept()
        self.now -= 86400
        self.reopen()
        self.assertGreater(self.accept().id, entry.id)

    def test_looking_on_changes_nothing(self) -> None:
        """Read-only works beside the writer, and leaves even damage where it is."""
        entry = self.accept()
        broken = self.accept()
        os.truncate(self.file_of(broken), 10)
        moved = self.file_of(entry) + ":2,S"
        os.rename(self.file_of(entry), moved)
        viewer = self.opened(read_only=True)
        self.addCleanup(viewer.close)
        self.assertEqual({entry, broken}, set(viewer.entries()))
        self.assertRaises(Corrupt, viewer.claim, broken)
        viewer.claim(entry).close()
        self.assertTrue(os.path.exists(moved))
        self.assertTrue(os.path.exists(self.file_of(broken)))
        os.rename(moved, self.file_of(entry))
        message = viewer.claim(entry)
        self.addCleanup(message.close)
        self.spool.remove(self.claimed(entry))
        self.assertEqual(CONTENT, message.read(0, 1000))  # what is open can be read on

    def test_looking_at_nothing(self) -> None:
        """A folder that is no spool, or is not there, is said so, and not made one."""
        empty = self.mktemp()
        self.assertRaises(Unusable, Spool.open, empty, hostname="", read_only=True)
        os.mkdir(empty)
        self.assertRaises(Unusable, Spool.open, empty, hostname="", read_only=True)
        self.assertEqual([], os.listdir(empty))

    def test_state_files(self) -> None:
        """Small files come back as written; names are never paths."""
        self.assertIsNone(self.spool.read_state("budgets.json"))
        self.spool.write_state("budgets.json", b"a" * 100_000)
        self.spool.write_state("budgets.json", b"{}")
        self.assertEqual(b"{}", self.reopen().read_state("budgets.json"))
        for name in ("", "../x", "a/b", ".hidden", "a\n"):
            self.assertRaises(ValueError, self.spool.write_state, name, b"")

    def test_free_space(self) -> None:
        """It is what the file system says."""
        found = os.statvfs(self.path)
        self.assertAlmostEqual(
            found.f_bavail * found.f_frsize, self.spool.free_space(), delta=1 << 30
        )
