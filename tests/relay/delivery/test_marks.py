"""Marks: noted on disk before the final dot."""

from __future__ import annotations

import errno
from unittest import mock

from twisted.internet.defer import Deferred

from m365gw.relay.delivery.marks import Marks
from m365gw.smtp.verdict import Outcome
from m365gw.spool.health import SpoolError
from m365gw.syncing import Syncing
from tests.edge.conversation import Thread
from tests.spool.cases import SpoolCase
from tests.syncing_by_hand import ByHand


class MarksTests(SpoolCase):
    """The note, and when it may be counted on."""

    def setUp(self) -> None:
        super().setUp()
        self.kernel = ByHand()
        self.syncing = Syncing(mock.Mock(), self.kernel, Thread())
        self.entry = self.accept()
        self.message = self.claimed(self.entry)
        marks = Marks(self.spool, self.syncing)
        self.marked = Deferred.fromCoroutine(marks.mark(self.message, [0, 2]))

    def outcomes(self) -> list[Outcome]:
        """As whoever claims the message after a crash reads them."""
        return [recipient.outcome for recipient in self.claimed(self.entry).recipients]

    def test_mark_is_durable_when_it_is_told(self) -> None:
        """It is in the file before the file is synced, and the dot waits for that."""
        self.assertEqual([[self.message.fd]], self.kernel.begun)
        uncertain, pending = Outcome.UNCERTAIN, Outcome.PENDING
        self.assertEqual([uncertain, pending, uncertain, pending], self.outcomes())
        self.assertNoResult(self.marked)
        self.kernel.come_back(None)
        self.syncing.doRead()
        self.assertIsNone(self.successResultOf(self.marked))

    def test_mark_that_cannot_be_synced_stops_the_message(self) -> None:
        """The dot is not sent, and the gate closes: the disk cannot be trusted."""
        self.kernel.come_back(OSError(errno.EIO, "broken"))
        self.syncing.doRead()
        self.failureResultOf(self.marked, SpoolError)
        self.assertTrue(self.spool.health.closed)
