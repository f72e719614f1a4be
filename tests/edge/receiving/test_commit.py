"""Group commit."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.edge.receiving.commit import MOST_DRAFTS, GroupCommit
from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.smtp.replies import Refused
from m365gw.spool.draft import Draft
from m365gw.spool.health import SpoolError
from m365gw.spool.names import Entry
from m365gw.spool.round import Result
from m365gw.spool.spool import Spool
from tests.edge.conversation import MESSAGE, Thread


class GroupCommitTests(SynchronousTestCase):
    """Drafts in, promises out."""

    def setUp(self) -> None:
        self.spool = Spool.open(self.mktemp(), hostname="gw")
        self.addCleanup(self.spool.close)
        self.disk = Thread()
        self.disk.is_stalled = True
        self.commit = GroupCommit(self.round)

    def round(self, drafts: Sequence[Draft]) -> Deferred[list[Result]]:
        return self.disk(self.spool.commit, drafts)

    def draft(self) -> Draft:
        envelope = Envelope("me@example.com", (Recipient("you@example.net"),))
        draft = self.spool.draft(envelope, Origin("192.0.2.1", mailbox="relay@example.com"))
        draft.write(MESSAGE)
        draft.finish()
        return draft

    def promises(self, count: int) -> list[Deferred[Entry]]:
        return [self.commit.commit(self.draft()) for _ in range(count)]

    def test_promise_is_kept_only_when_durable(self) -> None:
        """Nothing is said before the commit is done; then the entry is in the spool."""
        [promise] = self.promises(1)
        self.assertNoResult(promise)
        self.assertEqual(list(self.spool.entries()), [])
        self.disk.run()
        self.assertEqual([self.successResultOf(promise)], list(self.spool.entries()))

    def test_what_finishes_meanwhile_shares_the_next_round(self) -> None:
        """The first goes at once; ten that come while it is synced go together."""
        batches: list[int] = []
        commit = self.spool.commit

        def counting(drafts: list[Draft]) -> list[Entry | SpoolError]:
            batches.append(len(drafts))
            return commit(drafts)

        with mock.patch.object(self.spool, "commit", counting):
            promises = self.promises(11)
            self.assertEqual(self.disk.waiting, 1)
            self.disk.run()
            done = [self.successResultOf(promises[0])]
            self.assertNoResult(promises[1])
            self.disk.run()
            done += map(self.successResultOf, promises[1:])
        self.assertEqual(batches, [1, 10])
        found = {entry.id for entry in self.spool.entries()}
        self.assertEqual({entry.id for entry in done}, found)

    def test_rounds_are_bounded(self) -> None:
        """One round takes so many messages, and the others the next."""
        promises = self.promises(MOST_DRAFTS + 2)
        self.disk.run()
        self.disk.run()
        self.assertNoResult(promises[-1])
        self.disk.run()
        self.successResultOf(promises[-1])
        self.assertEqual(len(list(self.spool.entries())), MOST_DRAFTS + 2)

    def test_draft_that_cannot_be_stored_fails_alone(self) -> None:
        """A full disk refuses one message with 452 and keeps the promise to the others."""
        full = SpoolError(OSError(errno.ENOSPC, "full"))
        commit = self.spool.commit
        with mock.patch.object(self.spool, "commit", lambda drafts: [full, *commit(drafts)[1:]]):
            self.commit.commit(self.draft()).addErrback(lambda failure: None)
            promises = self.promises(2)
            self.disk.run()
            self.disk.run()
        self.assertEqual(self.failureResultOf(promises[0], SpoolError).value.reply.code, 452)
        self.assertIn(self.successResultOf(promises[1]), list(self.spool.entries()))

    def test_broken_spool_is_a_passing_fault_and_rounds_go_on(self) -> None:
        """An exception out of the commit promises nothing, and the next round runs."""
        with mock.patch.object(self.spool, "commit", side_effect=RuntimeError):
            promises = self.promises(1)
            self.disk.run()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.failureResultOf(promises[0], Refused).value.reply.code, 451)
        [promise] = self.promises(1)
        self.disk.run()
        self.successResultOf(promise)

    def test_raising_callbacks_stop_nothing(self) -> None:
        """A client that raises costs the others neither their answer nor a round."""
        first = self.commit.commit(self.draft())
        first.addCallback(lambda entry: 1 // 0)
        second, third = self.promises(2)
        for _ in range(2):
            self.disk.run()
        self.failureResultOf(first, ZeroDivisionError)
        self.successResultOf(second)
        self.successResultOf(third)

    def test_settled_waits_for_all_rounds(self) -> None:
        """A stop waits until the last message in hand is durable and answered."""
        self.successResultOf(self.commit.settled())
        promises = self.promises(3)
        settled = self.commit.settled()
        self.disk.run()
        self.assertNoResult(settled)
        self.disk.run()
        self.successResultOf(settled)
        for promise in promises:
            self.successResultOf(promise)
