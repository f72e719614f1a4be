"""Whether there is room for more mail."""

from __future__ import annotations

import errno
from unittest import mock

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.edge.space import LOOK_SECONDS, Space
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
        self.space = Space(self.spool, 600, self.clock)

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

    def test_failed_disk_is_451(self) -> None:
        """While the gate of the spool is closed no mail is taken."""
        self.spool.health.fail(OSError(errno.EIO, "broken"))
        self.assertEqual(self.refusal(0), 451)
