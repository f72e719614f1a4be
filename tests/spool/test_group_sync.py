"""Syncing many files at once, without waiting."""

from __future__ import annotations

import errno
import os
import select
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from m365gw.spool.group_sync import MOST_FILES, GroupSync

Results = list[OSError | None]


class GroupSyncTests(SynchronousTestCase):
    """What the system says of each file is told of that file, and of no other.

    A system that has no such calls takes nothing, which every test allows for.
    """

    def setUp(self) -> None:
        self.sync = GroupSync()
        self.addCleanup(self.sync.close)

    def files(self, count: int) -> list[int]:
        """New files with something to sync."""
        found = []
        for _ in range(count):
            fd = os.open(self.mktemp(), os.O_WRONLY | os.O_CREAT)
            self.addCleanup(os.close, fd)
            os.write(fd, b"a message\r\n")
            found.append(fd)
        return found

    def results(self) -> Results:
        """The results of what was begun, once they are there."""
        while True:
            select.select([self.sync.event_fd], [], [])
            results = self.sync.results()
            if results is not None:
                return results

    def test_files_are_synced(self) -> None:
        """One result for each file handed over, none of them an error, again and again."""
        for count in (1, 2, 7, MOST_FILES):
            if self.sync.begin(self.files(count)):
                self.assertEqual([None] * count, self.results())
                self.assertIsNone(self.sync.results())

    def test_error_is_that_of_its_file(self) -> None:
        """What cannot be synced fails alone, and the files before and behind it are synced."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        first, last = self.files(2)
        if self.sync.begin([first, reading, last]):
            good, bad, also_good = self.results()
            self.assertEqual((None, None), (good, also_good))
            assert bad is not None
            self.assertEqual(errno.EINVAL, bad.errno)

    def test_too_many_are_not_begun(self) -> None:
        """More than go at once are for the caller to sync, none of them half begun."""
        [fd] = self.files(1)
        self.assertFalse(self.sync.begin([fd] * (MOST_FILES + 1)))
        self.assertIsNone(self.sync.results())

    def test_machine_without_it_begins_nothing(self) -> None:
        """On a machine whose calls are not known nothing is handed over."""
        with mock.patch("platform.machine", return_value="pdp11"):
            sync = GroupSync()
        self.assertFalse(sync.begin(self.files(3)))
        self.assertEqual(-1, sync.event_fd)

    def test_system_that_refuses_it_is_not_asked_again(self) -> None:
        """A kernel or container that says no is left in peace from then on."""
        calls: list[int] = []

        def refusing(number: int, *arguments: object) -> int:
            calls.append(number)
            return -1

        with mock.patch("m365gw.spool.group_sync._call", refusing):
            self.assertFalse(self.sync.begin(self.files(2)))
            self.assertFalse(self.sync.begin(self.files(2)))
        self.assertLessEqual(len(calls), 1)

    def test_file_of_which_nothing_is_known_has_failed(self) -> None:
        """When the kernel took the files and then tells nothing, none is called synced."""
        if not self.sync.begin(self.files(1)):
            return  # this system has no such calls, so it takes nothing
        self.results()
        with mock.patch("m365gw.spool.group_sync._call", mock.Mock(side_effect=[2, -1])):
            self.assertTrue(self.sync.begin(self.files(2)))
            os.eventfd_write(self.sync.event_fd, 2)
            results = self.sync.results()
        self.assertEqual([errno.EIO] * 2, [error.errno for error in results or () if error])
        self.assertFalse(self.sync.begin(self.files(2)))

    def test_short_and_interrupted_answers_are_asked_on(self) -> None:
        """Nothing more is told once all have come back, so none may be left behind."""
        if not self.sync.begin(self.files(1)):
            return  # this system has no such calls, so it takes nothing
        self.results()
        begun = mock.Mock(side_effect=[3])
        with mock.patch("m365gw.spool.group_sync._call", begun):
            self.assertTrue(self.sync.begin(self.files(3)))
        os.eventfd_write(self.sync.event_fd, 3)
        for place in range(3):
            self.sync._events[place].data = place  # the place in the answer is that in the group
            self.sync._events[place].result = 0
        interrupted = mock.Mock(side_effect=[2, -1, 1])
        with (
            mock.patch("m365gw.spool.group_sync._call", interrupted),
            mock.patch("ctypes.get_errno", return_value=errno.EINTR),
        ):
            self.assertEqual([None] * 3, self.sync.results())

    def test_no_room_for_one_more_file_begins_nothing(self) -> None:
        """With too many open files at the first group a thread does it; later it may go."""
        full = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        with mock.patch("os.eventfd", side_effect=full):
            self.assertFalse(self.sync.begin(self.files(2)))
        if self.sync.begin(self.files(2)):
            self.assertEqual([None] * 2, self.results())
