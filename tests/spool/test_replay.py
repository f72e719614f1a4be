"""What a crash left in the commit log."""

from __future__ import annotations

import errno
import os
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from m365gw.spool.files import Files
from m365gw.spool.health import SpoolError, Unusable
from m365gw.spool.layout import hidden_path
from m365gw.spool.log_format import BLOCK, FIRST_ROUND, HEADS, ROUND_LENGTH, render_round
from m365gw.spool.names import Entry
from m365gw.spool.record import Composer
from m365gw.spool.spool import Spool
from tests.spool.cases import CONTENT, ENVELOPE, ORIGIN, SpoolCase
from tests.spool.logged import LOG_SIZE, commit, settle

FLIPS = st.lists(st.tuples(st.integers(0, 2 * BLOCK), st.integers(1, 255)), min_size=1, max_size=9)


class ReplayTests(SpoolCase):
    def setUp(self) -> None:
        super().setUp()
        self.reopen(log_size=LOG_SIZE)

    @property
    def log(self) -> str:
        return os.path.join(self.path, "commit-log")

    def acknowledged(self, *contents: bytes) -> list[Entry]:
        """Messages that went to the log in one round."""
        drafts = []
        for content in contents:
            draft = self.spool.draft(ENVELOPE, ORIGIN)
            draft.write(content)
            draft.finish()
            drafts.append(draft)
        entries = commit(self.spool, drafts)
        assert all(isinstance(entry, Entry) for entry in entries)
        return [entry for entry in entries if isinstance(entry, Entry)]

    def lose_power(self) -> None:
        """Of all new mail only the log is left."""
        self.spool.close()
        self.forget_files()

    def forget_files(self) -> None:
        folder = os.path.join(self.path, "incoming/new")
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))

    def contents(self) -> dict[str, bytes]:
        """Of all messages, by queue id."""
        found = {}
        for entry in self.spool.entries():
            message = self.claimed(entry)
            found[entry.queue_id] = message.read(0, message.size)
        return found

    def restart(self) -> dict[str, bytes]:
        self.spool = self.opened(log_size=LOG_SIZE)
        return self.contents()

    def test_messages_come_back(self) -> None:
        """As they were, each once, also when they are there already."""
        contents = [CONTENT, b"", CONTENT * 9]
        entries = self.acknowledged(*contents[:2]) + self.acknowledged(contents[2])
        expected = dict(zip((entry.queue_id for entry in entries), contents, strict=True))
        self.spool.close()
        self.assertEqual(expected, self.restart())

    def test_two_starts(self) -> None:
        """What came back and was removed does not come back again."""
        self.acknowledged(CONTENT)
        self.lose_power()
        for _ in range(2):
            self.restart()
            for entry in list(self.spool.entries()):
                self.spool.remove(self.spool.claim(entry))
            self.spool.close()
        self.assertEqual({}, self.restart())

    def test_what_was_settled_does_not_come_back(self) -> None:
        """It may have been delivered since."""
        self.acknowledged(CONTENT)
        settle(self.spool)
        (last,) = self.acknowledged(b"last")
        self.lose_power()
        self.assertEqual({last.queue_id: b"last"}, self.restart())

    def test_places_used_again(self) -> None:
        """Old rounds beside and behind new ones count for nothing."""
        for number in range(30):
            self.acknowledged(CONTENT * (1 + number % 3 * 60))
            settle(self.spool)
        (last,) = self.acknowledged(b"last")
        self.lose_power()
        self.assertEqual({last.queue_id: b"last"}, self.restart())

    @settings(max_examples=40, deadline=None)
    @given(FLIPS)
    def test_damaged_round(self, flips: list[tuple[int, int]]) -> None:
        """It is whole or is left out, and the others are there."""
        self.tearDown()
        self.setUp()
        (first,) = self.acknowledged(CONTENT)
        start = FIRST_ROUND + BLOCK
        (second,) = self.acknowledged(CONTENT * 100)
        self.lose_power()
        with open(self.log, "r+b") as log:
            for place, flip in flips:
                log.seek(start + place)
                (octet,) = log.read(1)
                log.seek(start + place)
                log.write(bytes([octet ^ flip]))
        found = self.restart()
        self.assertEqual(CONTENT, found.pop(first.queue_id))
        self.assertIn(found, ({}, {second.queue_id: CONTENT * 100}))

    def test_torn_round(self) -> None:
        """Cut at any block, and with what was there before behind the cut."""
        for kept in range(2):
            with self.subTest(kept=kept):
                with open(self.log, "rb") as log:
                    before = log.read()
                self.acknowledged(CONTENT * 100)
                self.lose_power()
                with open(self.log, "r+b") as log:
                    log.seek(FIRST_ROUND + kept * BLOCK + 700)
                    log.write(before[log.tell() :])
                self.assertEqual({}, self.restart())

    def test_message_that_looks_like_a_round(self) -> None:
        """Who sends mail cannot put messages into the queue by it: the mark is told to nobody."""
        for is_told in (False, True):
            with self.subTest(is_told=is_told):
                (inner,) = self.acknowledged(b"forged")
                with open(os.path.join(self.path, hidden_path(inner.queue_id)), "rb") as file:
                    octets = file.read()
                settle(self.spool)
                with open(self.log, "rb") as log:
                    mark = log.read(100).split()[2] if is_told else b"f" * 32
                forged = render_round(mark, 99, [octets])
                before = ROUND_LENGTH + Composer(ENVELOPE, ORIGIN).length
                (outer,) = self.acknowledged(b" " * (BLOCK - before) + forged + octets)
                self.lose_power()
                expected = {outer.queue_id, inner.queue_id} if is_told else {outer.queue_id}
                self.assertEqual(expected, set(self.restart()))

    def test_refused_message_stays_away(self) -> None:
        """The log could not be synced: its client was told 451, and has it still."""
        for restarts in (False, True):
            with self.subTest(restarts=restarts):
                self.faulty_log()
                self.refused()
                if restarts:
                    self.reopen(log_size=LOG_SIZE)
                else:
                    self.now += 61
                    self.spool.grip.probe()
                self.assertEqual({}, self.contents())

    def test_refused_message_that_cannot_be_taken_back(self) -> None:
        """It stays in the log; as long as the service runs it knows better."""
        self.faulty_log(keeps=True)
        self.refused()
        self.now += 61
        self.spool.grip.probe()
        self.assertEqual({}, self.contents())

    def refused(self) -> None:
        draft = self.spool.draft(ENVELOPE, ORIGIN)
        draft.write(CONTENT)
        draft.finish()
        (result,) = commit(self.spool, [draft])
        self.assertIsInstance(result, SpoolError)

    def faulty_log(self, *, keeps: bool = False) -> None:
        """The log cannot be synced. `keeps`: nor written to any more."""

        class NotSynced(Files):
            is_kept = False

            def fdatasync(self, fd: int) -> None:  # type: ignore[override]
                self.is_kept = keeps
                raise OSError(errno.EIO, os.strerror(errno.EIO))

            def pwritev(self, fd: int, *arguments: Any) -> int:  # type: ignore[override]
                is_kept, self.is_kept = self.is_kept, False
                if is_kept:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                return os.pwritev(fd, *arguments)

        self.reopen(files=NotSynced, log_size=LOG_SIZE)

    def test_no_room_to_bring_it_back(self) -> None:
        """The start says so, and nothing is lost: the next one does it."""
        (entry,) = self.acknowledged(CONTENT)
        self.lose_power()

        class Full(Files):
            def create(self, path: str) -> int:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with self.assertRaisesRegex(Unusable, "commit-log.*No space left.*make some"):
            self.opened(files=Full)
        self.assertEqual({entry.queue_id: CONTENT}, self.restart())

    def test_damaged_log(self) -> None:
        """Without its beginning nobody knows what it holds: an operator decides."""
        self.acknowledged(CONTENT)
        self.lose_power()
        with open(self.log, "r+b") as log:
            log.write(bytes(HEADS * BLOCK))
        with self.assertRaisesRegex(Unusable, re.escape(self.log)):
            self.restart()
        os.unlink(self.log)
        self.assertEqual({}, self.restart())

    def test_one_head_is_enough(self) -> None:
        """The other was being written when the power went."""
        for head in range(HEADS):
            with self.subTest(head=head):
                for _ in range(3):
                    self.acknowledged(CONTENT)
                    settle(self.spool)
                (last,) = self.acknowledged(b"last")
                with open(self.log, "r+b") as log:
                    log.seek(head * BLOCK)
                    log.write(bytes(100))
                self.lose_power()
                self.assertEqual(b"last", self.restart()[last.queue_id])

    def test_stopped_in_good_order(self) -> None:
        """There is no log then, and no need of one."""
        self.acknowledged(CONTENT)
        (entry,) = settle(self.spool)
        self.spool.close()
        self.assertFalse(os.path.exists(self.log))
        self.assertEqual({entry.queue_id: CONTENT}, self.restart())

    def test_who_opens_it_without_a_log(self) -> None:
        """A command that acts on a stopped spool brings back what is in it, and leaves none."""
        (entry,) = self.acknowledged(CONTENT)
        self.lose_power()
        self.spool = self.opened()
        self.assertEqual({entry.queue_id: CONTENT}, self.contents())
        self.assertFalse(os.path.exists(self.log))

    def test_who_only_looks(self) -> None:
        """Changes nothing."""
        self.acknowledged(CONTENT)
        beside = Spool.open(self.path, hostname="", read_only=True)
        self.addCleanup(beside.close)
        self.assertEqual([], list(beside.entries()))
        self.assertTrue(os.path.exists(self.log))
