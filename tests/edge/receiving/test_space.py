"""Whether there is room for more mail."""

from __future__ import annotations

import errno
import io
from unittest import mock

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.limits import Limits
from m365gw.edge.receiving.space import LOOK_SECONDS, Space
from m365gw.edge.session.seldom import TOLD_AGAIN, Seldom
from m365gw.events import EventLog
from m365gw.smtp.replies import Refused
from m365gw.spool.spool import Spool


class SpaceTests(SynchronousTestCase):
    """The mark of free space, and the gate of a failed disk."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.spool = Spool.open(self.mktemp(), hostname="gw")
        self.addCleanup(self.spool.close)
        self.free = mock.Mock(return_value=1000)
        self.patch(self.spool, "free_space", self.free)
        self.patch(self.spool, "free_files", lambda: self.files)
        self.files: int | None = None
        self.output = io.StringIO()
        log = EventLog(self.output, hostname="gw")
        limits = Limits(minimal_free_space=600, minimal_free_inodes=10)
        self.space = Space(self.spool, limits, self.clock, Seldom(log, self.clock))

    def refusal(self, size: int) -> int:
        return self.assertRaises(Refused, self.space.check, size).reply.code

    def test_room_above_the_mark_may_be_used(self) -> None:
        """What would go below the mark is refused before it is sent."""
        self.space.check(0)
        self.space.check(400)
        self.assertEqual(self.refusal(401), 452)

    def test_below_the_mark_nothing_is_taken(self) -> None:
        """A message of unknown size is refused too."""
        self.free.return_value = 600
        self.assertEqual(self.refusal(0), 452)

    def test_the_disk_is_asked_once_a_second(self) -> None:
        """A thousand messages cost one look, and the next second another."""
        for _ in range(1000):
            self.space.check(0)
        self.assertEqual(self.free.call_count, 1)
        self.free.return_value = 0
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.refusal(0), 452)

    def test_full_table_of_files(self) -> None:
        """A disk full of small files takes no more, however much space there is."""
        for self.files, is_good in ((11, True), (10, False), (0, False), (None, True)):
            self.clock.advance(LOOK_SECONDS)
            if is_good:
                self.space.check(1)
            else:
                self.assertEqual(self.refusal(1), 452)
        self.assertIn("minimal_free_inodes is 10", self.output.getvalue())

    def test_log_says_what_is_short_once_a_minute(self) -> None:
        """Folder, figures and setting, and not a line for each message."""
        self.free.return_value = 500
        for _ in range(1000):
            self.refusal(0)
        [line] = self.output.getvalue().splitlines()
        self.assertIn(f"{self.spool.path} has 500 octets free", line)
        self.assertIn("minimal_free_space is 600", line)
        self.clock.advance(TOLD_AGAIN)
        self.refusal(0)
        self.assertIn("(999 more like this", self.output.getvalue().splitlines()[1])

    def test_log_tells_of_a_message_that_does_not_fit(self) -> None:
        """There is room, but not for this one."""
        self.refusal(401)
        self.assertIn("A message of 401 octets was put off", self.output.getvalue())

    def test_failed_disk_is_451(self) -> None:
        """While the gate of the spool is closed no mail is taken."""
        self.spool.health.fail(OSError(errno.EIO, "broken"))
        self.assertEqual(self.refusal(0), 451)
