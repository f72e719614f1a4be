"""Mail in: drafts and their commit."""

from __future__ import annotations

import errno
import os
from typing import Any

from m365gw.spool.draft import MEMORY_LIMIT
from m365gw.spool.files import Files
from m365gw.spool.health import SpoolError
from m365gw.spool.names import Entry, State, tag
from tests.spool.cases import CONTENT, ENVELOPE, ORIGIN, SpoolCase


class AcceptTests(SpoolCase):
    """Mail in."""

    def test_entry_tells_what_the_name_tells(self) -> None:
        """The entry of a new message has its size, time and tags, and a scan finds the same."""
        entry = self.accept()
        self.assertEqual(State.INCOMING, entry.state)
        self.assertEqual((len(CONTENT), 0, 0), (entry.size, entry.due, entry.attempts))
        self.assertEqual(tag("relay@EXAMPLE.com"), entry.mailbox)
        self.assertEqual(tag("printer3"), entry.source)
        self.assertEqual(self.now, entry.arrived_at)
        self.assertEqual([entry], list(self.spool.entries()))

    def test_draft_knows_its_queue_id_at_once(self) -> None:
        """The trace header needs the id before the message begins."""
        draft = self.spool.draft(ENVELOPE, ORIGIN)
        draft.finish()
        [entry] = self.spool.commit([draft])
        assert isinstance(entry, Entry)
        self.assertEqual(draft.queue_id, entry.queue_id)

    def test_message_comes_back_octet_for_octet(self) -> None:
        """Empty, small, at the bound of memory, beyond it in odd pieces, with any octets."""
        every = bytes(range(256))
        sizes = (0, 1, 1000, MEMORY_LIMIT - 1, MEMORY_LIMIT, MEMORY_LIMIT + 1, 700_001)
        for size in sizes:
            content = (every * (size // 256 + 1))[:size]
            draft = self.spool.draft(ENVELOPE, ORIGIN)
            for start in range(0, size, 9973):
                draft.write(content[start : start + 9973])
            self.assertEqual(size, draft.size)
            draft.finish()
            [entry] = self.spool.commit([draft])
            assert isinstance(entry, Entry)
            message = self.claimed(entry)
            self.assertEqual(size, message.size)
            self.assertEqual(content, message.read(0, size + 10))
            pieces = [message.read(start, 65536) for start in range(0, size, 65536)]
            self.assertEqual(content, b"".join(pieces))

    def test_many_small_pieces(self) -> None:
        """A message that came in more pieces than one call can write is whole too."""
        draft = self.spool.draft(ENVELOPE, ORIGIN)
        for _ in range(3000):
            draft.write(b"x\r\n")
        draft.finish()
        [entry] = self.spool.commit([draft])
        assert isinstance(entry, Entry)
        self.assertEqual(b"x\r\n" * 3000, self.claimed(entry).read(0, 9000))

    def test_a_draft_can_be_written_again(self) -> None:
        """What was written is read back, and another draft of the same id takes its place."""
        for size in (1000, MEMORY_LIMIT - 1, 300_000):
            content = (b"0123456789" * (size // 10 + 1))[:size]
            draft = self.spool.draft(ENVELOPE, ORIGIN)
            for start in range(0, size, 9973):
                draft.write(content[start : start + 9973])
            again = draft.again()
            for octets in draft.octets():
                again.write(octets.replace(b"0", b"zero"))
            draft.discard()
            again.finish()
            [entry] = self.spool.commit([again])
            assert isinstance(entry, Entry)
            self.assertEqual(draft.id, entry.id)
            changed = content.replace(b"0", b"zero")
            self.assertEqual(changed, self.claimed(entry).read(0, len(changed) + 1))
        self.assertEqual([], os.listdir(os.path.join(self.path, "incoming/tmp")))

    def test_what_took_its_place_is_not_refused_for_it(self) -> None:
        """A first draft that could not be removed does not cost the acknowledged second one."""
        draft = self.spool.draft(ENVELOPE, ORIGIN)
        draft.write(b"x" * 300_000)
        again = draft.again()
        os.unlink(os.path.join(self.path, "incoming/tmp", draft.queue_id))
        draft.discard()
        self.assertIn(draft.id, self.spool.health.refused)
        again.finish()
        self.assertIsInstance(self.spool.commit([again])[0], Entry)
        self.assertNotIn(draft.id, self.spool.health.refused)

    def test_memory_of_a_draft_is_bounded(self) -> None:
        """What is over the bound lies in the file while the message still arrives."""
        draft = self.spool.draft(ENVELOPE, ORIGIN)
        for _ in range(100):
            draft.write(b"x" * 10_000)
        name = os.path.join(self.path, "incoming/tmp", draft.queue_id)
        self.assertGreater(os.stat(name).st_size, 1_000_000 - MEMORY_LIMIT - 10_000)
        draft.discard()
        self.assertFalse(os.path.exists(name))

    def test_nothing_is_seen_before_its_commit(self) -> None:
        """A finished draft is not mail yet, and a discarded one never will be."""
        draft = self.spool.draft(ENVELOPE, ORIGIN)
        draft.write(CONTENT)
        draft.finish()
        self.assertEqual([], list(self.spool.entries()))
        draft.discard()
        draft.discard()
        self.assertEqual([], os.listdir(os.path.join(self.path, "incoming/tmp")))

    def test_half_a_message_is_refused(self) -> None:
        """A draft that was discarded, or never finished, fails alone and takes nothing more."""
        discarded, unfinished, whole = (self.spool.draft(ENVELOPE, ORIGIN) for _ in range(3))
        for draft in (discarded, unfinished, whole):
            draft.write(CONTENT)
        discarded.discard()
        self.assertRaises(SpoolError, discarded.write, CONTENT)
        self.assertRaises(SpoolError, discarded.finish)
        whole.finish()
        first, second, third = self.spool.commit([discarded, unfinished, whole])
        self.assertEqual([451, 451], [first.reply.code, second.reply.code])
        self.assertEqual([third], list(self.spool.entries()))
        self.assertFalse(self.spool.health.closed)
        whole.discard()  # too late: it was accepted
        self.assertEqual([third], list(self.spool.entries()))

    def test_files_and_folder_are_synced_before_a_name_is_seen(self) -> None:
        """The order of a batch: nothing can be seen in new before it is durable."""
        calls = self.faulty()
        drafts = [self.spool.draft(ENVELOPE, ORIGIN) for _ in range(3)]
        for draft in drafts:
            draft.write(CONTENT)
            draft.finish()
        self.assertEqual(["create", "pwritev"] * 3, calls.made)
        calls.begin()
        self.spool.commit(drafts)
        seen = [call for call in calls.made if call in ("fsync", "rename")]
        self.assertEqual(["fsync"] * 4 + ["rename"] * 3, seen)

    def test_failed_sync_is_not_repeated(self) -> None:
        """Its message is refused and dropped, the rest of the batch taken, the gate closed."""
        calls = self.faulty(fails_at=2, error=errno.EIO, only=frozenset({"fsync"}))
        drafts = [self.spool.draft(ENVELOPE, ORIGIN) for _ in range(3)]
        for draft in drafts:
            draft.finish()
        first, second, third = self.spool.commit(drafts)
        assert isinstance(first, Entry) and isinstance(third, Entry)
        assert isinstance(second, SpoolError)
        self.assertEqual((451, "4.3.0"), (second.reply.code, second.reply.status))
        self.assertEqual([first, third], sorted(self.spool.entries(), key=lambda one: one.id))
        self.assertEqual(4, len(calls.made))  # three files, one folder
        self.assertEqual([], os.listdir(os.path.join(self.path, "incoming/tmp")))
        self.assertEqual((True, self.now), (self.spool.health.closed, self.spool.health.since))
        self.assertIn("Input/output error", self.spool.health.cause)

    def test_failed_sync_of_the_folder_refuses_the_batch(self) -> None:
        """No name in it may be counted on, so all are refused and removed."""
        self.faulty(fails_at=3, error=errno.EIO, only=frozenset({"fsync"}))
        drafts = [self.spool.draft(ENVELOPE, ORIGIN) for _ in range(2)]
        for draft in drafts:
            draft.finish()
        results = self.spool.commit(drafts)
        self.assertEqual([451, 451], [result.reply.code for result in results])
        self.assertEqual([], list(self.spool.entries()))

    def test_full_disk_is_452_and_leaves_the_gate_open(self) -> None:
        """Delivery must go on when the disk is full: it alone makes room."""
        for error in (errno.ENOSPC, errno.EDQUOT):
            self.faulty(fails_at=1, error=error, only=frozenset({"pwritev"}))
            draft = self.spool.draft(ENVELOPE, ORIGIN)
            draft.write(CONTENT)
            refused = self.assertRaises(SpoolError, draft.finish)
            self.assertEqual((452, "4.3.1"), (refused.reply.code, refused.reply.status))
            self.assertIs(refused, self.assertRaises(SpoolError, draft.write, b"more"))
            self.assertEqual([refused], self.spool.commit([draft]))
            self.assertFalse(self.spool.health.closed)
            self.assertEqual([], os.listdir(os.path.join(self.path, "incoming/tmp")))

    def test_disk_that_takes_only_the_beginning(self) -> None:
        """A write cut short goes on, and ends with the error of its rest."""

        class Short(Files):
            left = 2

            def pwritev(self, fd: int, buffers: Any, offset: int) -> int:
                return os.pwrite(fd, b"".join(buffers)[:100], offset)

            def pwrite(self, fd: int, data: bytes, offset: int) -> int:
                self.left -= 1
                return os.pwrite(fd, data[:300], offset) if self.left >= 0 else 0

        self.reopen()
        patient, full = Short(self.path), Short(self.path)
        patient.left = 1000
        fd = patient.open_or_create("state/x")
        patient.write_all(fd, [b"a" * 500, b"b" * 500], 0)
        self.assertEqual(b"a" * 500 + b"b" * 500, os.pread(fd, 2000, 0))
        refused = self.assertRaises(OSError, full.write_all, fd, [b"c" * 5000], 0)
        self.assertEqual(errno.ENOSPC, refused.errno)
