"""The disk as mail in sees it."""

from __future__ import annotations

import errno
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.edge.receiving.disk import Disk
from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.spool.draft import Draft
from m365gw.spool.health import SpoolError
from m365gw.spool.spool import Spool
from m365gw.syncing import Syncing
from tests.edge.conversation import MESSAGE, Thread
from tests.syncing_by_hand import ByHand

BROKEN = OSError(errno.EIO, "broken")


class DiskTests(SynchronousTestCase):
    """What is synced in which order, and what may be seen when."""

    def setUp(self) -> None:
        self.spool = Spool.open(self.mktemp(), hostname="gw")
        self.addCleanup(self.spool.close)
        self.kernel = ByHand()
        self.syncing = Syncing(mock.Mock(), self.kernel, Thread())
        self.disk = Disk(self.spool, self.syncing)

    def draft(self) -> Draft:
        envelope = Envelope("me@example.com", (Recipient("you@example.net"),))
        draft = self.spool.draft(envelope, Origin("192.0.2.1", mailbox="relay@example.com"))
        draft.write(MESSAGE)
        draft.finish()
        return draft

    def commit(self, count: int) -> Deferred[Any]:
        return self.disk.commit([self.draft() for _ in range(count)])

    def come_back(self, *results: OSError | None) -> None:
        self.kernel.come_back(*results)
        self.syncing.doRead()

    def test_one_file_is_synced_before_its_folder(self) -> None:
        """Only behind both the message can be seen, and may be acknowledged."""
        promise = self.commit(1)
        for _ in range(2):
            self.assertNoResult(promise)
            self.assertEqual([], list(self.spool.entries()))
            self.come_back(None)
        self.assertEqual([1, 1], [len(group) for group in self.kernel.begun])
        self.assertNotEqual(*self.kernel.begun)
        self.assertEqual(self.successResultOf(promise), list(self.spool.entries()))

    def test_many_are_synced_with_their_folder(self) -> None:
        """One wait for the disk, and nothing can be seen before it is over."""
        promise = self.commit(3)
        self.assertEqual([4], [len(group) for group in self.kernel.begun])
        self.assertEqual([], list(self.spool.entries()))
        self.come_back()
        self.assertEqual(set(self.successResultOf(promise)), set(self.spool.entries()))

    def test_failed_file_fails_alone(self) -> None:
        """Its message is refused and gone; the others are taken."""
        promise = self.commit(3)
        self.come_back(None, BROKEN, None, None)
        first, second, third = self.successResultOf(promise)
        self.assertIsInstance(second, SpoolError)
        self.assertEqual({first, third}, set(self.spool.entries()))
        self.assertTrue(self.spool.health.closed)

    def test_failed_folder_refuses_one(self) -> None:
        """Its file is safe, but no name in the folder may be counted on."""
        promise = self.commit(1)
        self.come_back(None)
        self.come_back(BROKEN)
        self.refused(promise)

    def test_failed_folder_refuses_all(self) -> None:
        """The same for many at a time."""
        promise = self.commit(2)
        self.come_back(None, None, BROKEN)
        self.refused(promise)

    def refused(self, promise: Deferred[Any]) -> None:
        """Every message of the round was, and none can be seen."""
        for result in self.successResultOf(promise):
            self.assertEqual(451, result.reply.code)
        self.assertEqual([], list(self.spool.entries()))

    def test_half_a_message_is_none(self) -> None:
        """A draft that was given up meanwhile is not synced and does not cost the others."""
        drafts = [self.draft() for _ in range(3)]
        drafts[1].discard()
        promise = self.disk.commit(drafts)
        self.assertEqual([3], [len(group) for group in self.kernel.begun])
        self.come_back()
        first, second, third = self.successResultOf(promise)
        self.assertIsInstance(second, SpoolError)
        self.assertEqual({first, third}, set(self.spool.entries()))

    def test_round_of_nothing_needs_no_disk(self) -> None:
        """All drafts of it were given up."""
        draft = self.draft()
        draft.discard()
        [result] = self.successResultOf(self.disk.commit([draft]))
        self.assertIsInstance(result, SpoolError)
        self.assertEqual([], self.kernel.begun)

    def test_system_without_it_commits_all_the_same(self) -> None:
        """The files are synced in a thread then."""
        self.kernel.refuses = True
        for count in (1, 3):
            before = set(self.spool.entries())
            entries = self.successResultOf(self.commit(count))
            self.assertEqual(set(entries), set(self.spool.entries()) - before)
            self.assertEqual(count, len(entries))
