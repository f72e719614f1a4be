"""Syncing many files at once."""

from __future__ import annotations

import errno
import os
import threading
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from m365gw.spool.files import Files
from m365gw.spool.group_sync import MOST_FILES, GroupSync


class GroupSyncTests(SynchronousTestCase):
    """What the system says of each file is told of that file, and of no other."""

    def files(self, count: int) -> list[int]:
        """New files with something to sync."""
        found = []
        for _ in range(count):
            fd = os.open(self.mktemp(), os.O_WRONLY | os.O_CREAT)
            self.addCleanup(os.close, fd)
            os.write(fd, b"a message\r\n")
            found.append(fd)
        return found

    def test_files_are_synced(self) -> None:
        """One result for each file handed over, none of them an error, again and again."""
        sync = GroupSync()
        for count in (1, 2, 7):
            results = sync.sync(self.files(count))
            self.assertIn(results, ([None] * count, []))

    def test_error_is_that_of_its_file(self) -> None:
        """What cannot be synced fails alone, wherever it stands, and the rest is synced."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        first, last = self.files(2)
        root = Files(".")
        self.addCleanup(root.close, root.root)
        good, bad, also_good = root.sync_all([first, reading, last])
        self.assertEqual((None, None), (good, also_good))
        assert bad is not None
        self.assertEqual(errno.EINVAL, bad.errno)

    def test_more_than_go_at_once_are_all_synced(self) -> None:
        """What does not go with the others is synced one by one."""
        root = Files(".")
        self.addCleanup(root.close, root.root)
        [fd] = self.files(1)
        many = [fd] * (MOST_FILES + 3)
        self.assertEqual([None] * len(many), root.sync_all(many))

    def test_system_without_it_syncs_one_by_one(self) -> None:
        """On a machine whose calls are not known nothing is handed over, and all is synced."""
        with mock.patch("platform.machine", return_value="pdp11"):
            root = Files(".")
        self.addCleanup(root.close, root.root)
        synced: list[int] = []
        files = self.files(3)
        with mock.patch.object(Files, "fsync", synced.append):
            self.assertEqual([None] * 3, root.sync_all(files))
        self.assertEqual(files, synced)

    def test_system_that_refuses_it_is_not_asked_again(self) -> None:
        """A kernel or container that says no gets plain fsync from then on."""
        sync = GroupSync()
        calls: list[int] = []

        def refusing(number: int, *arguments: object) -> int:
            calls.append(number)
            return -1

        with mock.patch("m365gw.spool.group_sync._call", refusing):
            self.assertEqual([], sync.sync(self.files(2)))
            self.assertEqual([], sync.sync(self.files(2)))
        self.assertLessEqual(len(calls), 1)

    def test_file_of_which_nothing_is_known_has_failed(self) -> None:
        """When the kernel took the files and then tells nothing, none is called synced."""
        sync = GroupSync()
        if not sync.sync(self.files(1)):
            return  # this system has no such calls, so it takes nothing
        with mock.patch("m365gw.spool.group_sync._call", mock.Mock(side_effect=[2, -1])):
            results = sync.sync(self.files(2))
        self.assertEqual([errno.EIO] * 2, [error.errno for error in results if error])
        self.assertEqual([], sync.sync(self.files(2)))

    def test_threads_do_not_take_each_other_s_results(self) -> None:
        """Two threads at a time: each gets as many results as it handed over."""
        root = Files(".")
        self.addCleanup(root.close, root.root)
        files, lengths = self.files(8), []

        def work(count: int) -> None:
            for _ in range(20):
                lengths.append(len(root.sync_all(files[:count])) - count)

        threads = [threading.Thread(target=work, args=(count,)) for count in (3, 8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([0] * 40, lengths)
