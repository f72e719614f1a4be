"""The disk as mail in sees it."""

from __future__ import annotations

import select
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.edge.disk import Disk
from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.spool.draft import Draft
from m365gw.spool.round import Round
from m365gw.spool.spool import Spool
from tests.edge.conversation import MESSAGE, Thread


class DiskTests(SynchronousTestCase):
    """Rounds, in the reactor or in a thread."""

    def setUp(self) -> None:
        self.spool = Spool.open(self.mktemp(), hostname="gw")
        self.addCleanup(self.spool.close)
        self.reactor = mock.Mock()
        self.thread = Thread()
        self.disk = Disk(self.spool, self.reactor, self.thread)

    def draft(self) -> Draft:
        envelope = Envelope("me@example.com", (Recipient("you@example.net"),))
        draft = self.spool.draft(envelope, Origin("192.0.2.1", mailbox="relay@example.com"))
        draft.write(MESSAGE)
        draft.finish()
        return draft

    def committed(self, count: int) -> list[Any]:
        """So many drafts, by whichever way this system has."""
        promise = self.disk.commit([self.draft() for _ in range(count)])
        while not promise.called:
            select.select([self.disk], [], [])
            self.disk.doRead()
        results: list[Any] = self.successResultOf(promise)
        return results

    def test_rounds_follow_one_another(self) -> None:
        """What was promised is in the spool, and the reactor was asked to look but once."""
        results = [entry for count in (1, 3, 1, 2) for entry in self.committed(count)]
        self.assertEqual(set(results), set(self.spool.entries()))
        self.assertEqual(7, len(results))
        self.assertLessEqual(self.reactor.addReader.call_count, 1)

    def test_rest_of_a_round_is_read_over(self) -> None:
        """The reactor may say twice what was taken at once."""
        self.committed(2)
        if self.reactor.addReader.called:
            self.disk.doRead()
        self.assertEqual(2, len(list(self.spool.entries())))

    def test_system_without_it_commits_in_the_thread(self) -> None:
        """Nothing is done before the thread has its turn."""
        self.thread.is_stalled = True
        with mock.patch.object(self.spool, "begin_commit", return_value=None):
            promise = self.disk.commit([self.draft()])
        self.assertEqual([], list(self.spool.entries()))
        self.thread.run()
        self.assertEqual(self.successResultOf(promise), list(self.spool.entries()))
        self.assertFalse(self.reactor.addReader.called)

    def test_round_that_raises_fails_its_promise(self) -> None:
        """The reactor would never ask again for one that raised into its face."""
        begun = mock.Mock(Round, told_by=7)
        begun.go_on.side_effect = RuntimeError
        with mock.patch.object(self.spool, "begin_commit", return_value=begun):
            promise: Deferred[Any] = self.disk.commit([self.draft()])
        self.disk.doRead()
        self.failureResultOf(promise, RuntimeError)

    def test_closed_disk_is_not_looked_at(self) -> None:
        """A stop takes it out of the reactor, if it was ever there."""
        self.disk.close()
        self.assertFalse(self.reactor.removeReader.called)
        with mock.patch.object(self.spool, "begin_commit", return_value=mock.Mock(told_by=7)):
            self.disk.commit([self.draft()])
        self.disk.close()
        self.reactor.removeReader.assert_called_once_with(self.disk)
