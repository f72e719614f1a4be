"""Files synced while the reactor goes on."""

from __future__ import annotations

import errno
import os
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.spool.group_sync import MOST_FILES, Results
from m365gw.syncing import Syncing
from tests.edge.conversation import Thread
from tests.syncing_by_hand import ByHand

BROKEN = OSError(errno.EIO, "broken")


class SyncingTests(SynchronousTestCase):
    """Groups, one after the other, and to whom their results go."""

    def setUp(self) -> None:
        self.kernel = ByHand()
        self.reactor = mock.Mock()
        self.thread = Thread()
        self.thread.is_stalled = True
        self.syncing = Syncing(self.reactor, self.kernel, self.thread)

    def come_back(self, *results: OSError | None) -> None:
        self.kernel.come_back(*results)
        self.syncing.doRead()

    def test_first_goes_at_once_and_the_others_together(self) -> None:
        """What is asked for meanwhile shares the next group."""
        promises = [self.syncing.sync([fd]) for fd in (5, 6, 7)]
        self.assertEqual([[5]], self.kernel.begun)
        self.come_back(None)
        self.assertEqual([[5], [6, 7]], self.kernel.begun)
        self.assertEqual([None], self.successResultOf(promises[0]))
        self.assertNoResult(promises[1])
        self.come_back(None, None)
        self.successResultOf(promises[2])
        self.assertEqual(1, self.reactor.addReader.call_count)

    def test_each_gets_its_own_results(self) -> None:
        """In order, whoever else was in the group."""
        self.syncing.sync([1])
        first, second = self.syncing.sync([2, 3]), self.syncing.sync([4])
        self.come_back(None)
        self.come_back(None, BROKEN, None)
        self.assertEqual([None, BROKEN], self.successResultOf(first))
        self.assertEqual([None], self.successResultOf(second))

    def test_groups_are_bounded(self) -> None:
        """What does not fit waits for the next one, and nothing is cut in two."""
        self.syncing.sync([1])
        for count in (MOST_FILES - 1, 2, 1):
            self.syncing.sync([7] * count)
        self.come_back()
        self.come_back()
        self.assertEqual([1, MOST_FILES - 1, 3], [len(group) for group in self.kernel.begun])

    def test_nothing_is_known_before_it_is_told(self) -> None:
        """A descriptor that is readable too soon changes nothing."""
        promise = self.syncing.sync([5])
        self.syncing.doRead()
        self.assertNoResult(promise)
        self.come_back(BROKEN)
        self.assertEqual([BROKEN], self.successResultOf(promise))

    def test_system_without_it_syncs_in_the_thread(self) -> None:
        """One by one, and again in groups."""
        self.kernel.refuses = True
        files = [os.open(self.mktemp(), os.O_WRONLY | os.O_CREAT) for _ in range(3)]
        promises = [self.syncing.sync([fd]) for fd in files]
        self.assertEqual(1, self.thread.waiting)
        self.thread.run()
        os.close(files[2])
        self.thread.run()
        for promise in promises[:2]:
            self.assertEqual([None], self.successResultOf(promise))
        [error] = self.successResultOf(promises[2])
        assert error is not None
        self.assertEqual(errno.EBADF, error.errno)
        self.assertFalse(self.reactor.addReader.called)

    def test_thread_that_fails_has_synced_nothing(self) -> None:
        """And the next group is begun all the same."""
        self.kernel.refuses = True
        calls: list[Deferred[Results]] = [Deferred(), Deferred()]
        left = iter(calls)
        syncing = Syncing(self.reactor, self.kernel, lambda *arguments: next(left))
        promise, other = syncing.sync([5, 6]), syncing.sync([7])
        calls[0].errback(RuntimeError())
        self.assertEqual(
            [errno.EIO] * 2, [error and error.errno for error in self.successResultOf(promise)]
        )
        self.assertEqual(1, len(self.flushLoggedErrors(RuntimeError)))
        self.assertNoResult(other)
        calls[1].callback([None])
        self.assertEqual([None], self.successResultOf(other))

    def test_who_does_not_wait_any_more_does_not_hurt(self) -> None:
        """A delivery that was cut off; the others get theirs."""
        self.syncing.sync([1])
        first, second = self.syncing.sync([2]), self.syncing.sync([3])
        first.addErrback(lambda failure: None)
        first.cancel()
        self.come_back()
        self.come_back(BROKEN, None)
        self.assertEqual([None], self.successResultOf(second))

    def test_answer_that_cannot_be_read_leaves_nobody_waiting(self) -> None:
        """Nothing of it counts as synced, and what waits is begun."""
        first, second = self.syncing.sync([5, 6]), self.syncing.sync([7])
        with mock.patch.object(self.kernel, "results", side_effect=OSError(errno.EBADF, "?")):
            self.syncing.doRead()
        errors = [error and error.errno for error in self.successResultOf(first)]
        self.assertEqual([errno.EIO] * 2, errors)
        self.assertEqual(1, len(self.flushLoggedErrors(OSError)))
        self.come_back(None)
        self.assertEqual([None], self.successResultOf(second))

    def test_closed_is_not_looked_at(self) -> None:
        """A stop takes it out of the reactor, if it was ever there."""
        self.syncing.close()
        self.assertFalse(self.reactor.removeReader.called)
        syncing = Syncing(self.reactor, ByHand(), self.thread)
        syncing.sync([5])
        syncing.close()
        self.reactor.removeReader.assert_called_once_with(syncing)
