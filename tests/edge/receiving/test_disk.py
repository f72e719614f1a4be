"""The disk as mail in sees it."""

from __future__ import annotations

import errno
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.edge.receiving.disk import PAUSE, Disk
from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.spool.draft import MEMORY_LIMIT, Draft
from m365gw.spool.health import SpoolError
from m365gw.spool.names import Entry
from m365gw.spool.spool import Spool
from m365gw.syncing import Syncing
from tests.edge.conversation import MESSAGE, Thread
from tests.syncing_by_hand import ByHand

MAIL = (
    Envelope("me@example.com", (Recipient("you@example.net"),)),
    Origin("192.0.2.1", mailbox="relay@example.com"),
)
BROKEN = OSError(errno.EIO, "broken")


class DiskCase(SynchronousTestCase):
    """A disk that syncs when a test says so."""

    log_size = 0

    def setUp(self) -> None:
        self.spool = Spool.open(self.mktemp(), hostname="gw", log_size=self.log_size)
        self.addCleanup(self.spool.close)
        self.kernel = ByHand()
        self.log_kernel = ByHand()
        self.syncing = Syncing(mock.Mock(), self.kernel, Thread())
        self.log_syncing = Syncing(mock.Mock(), self.log_kernel, Thread())
        self.clock = Clock()
        self.told: list[Entry] = []
        self.disk = Disk(self.spool, self.syncing, self.log_syncing, self.clock, self.tell)

    def tell(self, entry: Entry) -> None:
        self.told.append(entry)

    def draft(self) -> Draft:
        draft = self.spool.draft(*MAIL)
        draft.write(MESSAGE)
        draft.finish()
        return draft

    def commit(self, count: int) -> Deferred[Any]:
        return self.disk.commit([self.draft() for _ in range(count)])

    def come_back(self, *results: OSError | None) -> None:
        self.kernel.come_back(*results)
        self.syncing.doRead()

    def refused(self, promise: Deferred[Any]) -> None:
        """Every message of the round was, and none can be seen."""
        for result in self.results(promise):
            self.assertEqual(451, result.reply.code)
        self.assertEqual([], list(self.spool.entries()))

    def results(self, promise: Deferred[Any]) -> Any:
        """What it came to; may be asked again."""
        results = self.successResultOf(promise)
        promise.addCallback(lambda _: results)
        return results


class DiskTests(DiskCase):
    """What is synced in which order, and what may be seen when."""

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

    def test_relay_is_told_before_the_client(self) -> None:
        """Each accepted entry is handed on, once; one that cannot be is found later."""
        order: list[str] = []
        with mock.patch.object(self, "tell", side_effect=lambda entry: order.append("relay")):
            self.disk = Disk(self.spool, self.syncing, self.log_syncing, self.clock, self.tell)
            self.commit(2).addCallback(lambda entry: order.append("clients"))
            self.come_back()
        self.assertEqual(order, ["relay", "relay", "clients"])

    def test_relay_that_raises_stops_nothing(self) -> None:
        """It finds the messages when it looks through the spool."""
        with mock.patch.object(self, "tell", side_effect=KeyError):
            self.disk = Disk(self.spool, self.syncing, self.log_syncing, self.clock, self.tell)
            promise = self.commit(2)
            self.come_back()
        self.assertEqual(2, len(self.successResultOf(promise)))
        self.assertEqual(2, len(self.flushLoggedErrors(KeyError)))

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


class LoggedTests(DiskCase):
    """Messages that go by way of the commit log."""

    log_size = 1 << 20

    def logged(self, *results: OSError | None) -> None:
        """The log was synced."""
        self.log_kernel.come_back(*results)
        self.log_syncing.doRead()

    def accepted(self, count: int) -> list[Entry]:
        promise = self.commit(count)
        self.logged()
        entries: list[Entry] = self.successResultOf(promise)
        return entries

    def test_acknowledged_by_the_log_and_seen_by_its_file(self) -> None:
        """The log, then after a pause the files and their folder, then the log: then it is told."""
        promise = self.commit(2)
        self.assertNoResult(promise)
        self.assertEqual(([], [1]), self.begun())
        self.logged()
        entries = self.successResultOf(promise)
        self.clock.advance(PAUSE)
        self.assertEqual(([3], [1]), self.begun())
        self.come_back()
        self.assertEqual(([3], [1, 1]), self.begun())
        self.assertEqual([], [*self.spool.entries(), *self.told])
        self.logged()
        self.assertEqual(entries, self.told)
        self.assertEqual(set(entries), set(self.spool.entries()))

    def begun(self) -> tuple[list[int], list[int]]:
        """How many files were synced at a time: of messages, and the log."""
        return [len(group) for group in self.kernel.begun], [
            len(group) for group in self.log_kernel.begun
        ]

    def test_what_comes_meanwhile_becomes_a_file_next(self) -> None:
        """Acknowledging goes on while files are synced."""
        first = self.accepted(1)
        self.clock.advance(PAUSE)
        second = self.accepted(1)
        self.come_back()
        self.logged()
        self.assertEqual(first, self.told)
        self.clock.advance(PAUSE)
        self.come_back()
        self.logged()
        self.assertEqual(first + second, self.told)

    def test_settled_waits_for_all(self) -> None:
        """A stop waits until the log is not needed any more."""
        self.successResultOf(Deferred.fromCoroutine(self.disk.settled()))
        self.accepted(1)
        settled = Deferred.fromCoroutine(self.disk.settled())
        self.clock.advance(PAUSE)
        self.come_back()
        self.logged()
        self.assertNoResult(settled)
        self.clock.advance(PAUSE)
        self.successResultOf(settled)

    def test_large_message_is_synced_itself(self) -> None:
        """It would cost more to write it twice."""
        draft = self.draft()
        large = self.spool.draft(*MAIL)
        large.write(b"x" * (MEMORY_LIMIT + 1))
        large.finish()
        promise = self.disk.commit([draft, large])
        self.assertEqual(([3], []), self.begun())
        self.come_back()
        self.assertEqual(set(self.successResultOf(promise)), set(self.spool.entries()))

    def test_log_that_cannot_be_synced_refuses_the_round(self) -> None:
        """And is broken, and the gate closes, until the disk was tried."""
        promise = self.commit(2)
        self.logged(BROKEN)
        self.refused(promise)
        self.assertTrue(self.spool.health.closed)
        self.spool.grip.probe()
        self.refused(promise)
        self.assertEqual(1, self.spool.grip.times_found)

    def test_acknowledged_message_outlives_a_file_that_cannot_be_synced(self) -> None:
        """It is in the log: the gate closes, and a trial of the disk brings it back."""
        entries = self.accepted(2)
        self.clock.advance(PAUSE)
        self.come_back(None, BROKEN, None)
        self.assertTrue(self.spool.health.closed)
        self.clock.advance(PAUSE)
        self.successResultOf(Deferred.fromCoroutine(self.disk.settled()))
        self.assertEqual([], [*self.told, *self.spool.entries()])
        self.spool.grip.probe()
        self.assertEqual(set(entries), set(self.spool.entries()))

    def test_the_same_when_the_log_cannot_say_so(self) -> None:
        """A message that the log may bring back must not be seen, and sent, before."""
        entries = self.accepted(1)
        self.clock.advance(PAUSE)
        self.come_back()
        self.logged(BROKEN)
        self.assertEqual([], [*self.told, *self.spool.entries()])
        self.spool.grip.probe()
        self.assertEqual(entries, list(self.spool.entries()))

    def test_a_fault_of_ours_is_no_loss(self) -> None:
        """Whatever goes wrong with acknowledged messages, the log has them."""
        entries = self.accepted(1)
        with mock.patch("m365gw.spool.settling.Settling.synced", side_effect=ZeroDivisionError):
            self.clock.advance(PAUSE)
            self.come_back()
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assertTrue(self.spool.health.closed)
        self.spool.grip.probe()
        self.assertEqual(entries, list(self.spool.entries()))

    def test_disk_that_is_let_go_of_meanwhile(self) -> None:
        """Another file that failed makes the trial: what was acknowledged is found again."""
        entries = self.accepted(1)
        promise, late = self.commit(1), self.draft()
        assert self.spool.grip.log is not None
        self.spool.grip.log.lose()
        self.logged()
        self.refused(promise)
        self.assertIsNone(self.spool.logged_round([late]))
        late.discard()
        self.spool.grip.probe()
        self.assertEqual(entries, list(self.spool.entries()))
