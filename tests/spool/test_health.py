"""The gate that closes when the disk cannot be trusted."""

from __future__ import annotations

import errno
import os

from m365gw.spool.health import SpoolError, Unreadable
from m365gw.spool.spool import Spool
from tests.spool.cases import ENVELOPE, ORIGIN, SpoolCase


class GateTests(SpoolCase):
    """The health of the disk."""

    def test_gate_opens_after_a_minute_of_good_probes(self) -> None:
        """Not at the first good probe, and each failure begins the minute anew."""
        calls = self.faulty(fails_at=1, error=errno.EIO, only=frozenset({"fsync"}))
        self.assertFalse(self.spool.grip.probe())
        self.assertEqual(1, len(calls.failed))
        since = self.now
        for seconds, is_open in ((0, False), (59, False), (1, True), (500, True)):
            self.now += seconds
            self.assertEqual(is_open, self.spool.grip.probe())
        self.assertEqual((False, "", 0.0), gate(self.spool))
        self.spool.health.fail(OSError(errno.EROFS, "x"))
        self.now += 50
        self.spool.health.fail(OSError(errno.EIO, "x"))
        self.assertEqual((True, os.strerror(errno.EROFS), since + 560), gate(self.spool))
        self.now += 50
        self.assertFalse(self.spool.grip.probe())
        self.now += 10
        self.assertTrue(self.spool.grip.probe())
        self.assertEqual([], os.listdir(os.path.join(self.path, "incoming/tmp")))

    def test_shortages_leave_the_gate_open(self) -> None:
        """Too many open files, or no memory, refuse one message and pass by themselves."""
        for error in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            self.faulty(fails_at=1, error=error, only=frozenset({"create"}))
            refused = self.assertRaises(SpoolError, self.spool.draft(ENVELOPE, ORIGIN).finish)
            self.assertEqual((451, error), (refused.reply.code, refused.cause.errno))
            self.assertFalse(self.spool.health.closed)

    def test_one_file_we_may_not_open_stops_no_other(self) -> None:
        """A file put there by another user is its own trouble."""
        entry = self.accept()
        self.faulty(fails_at=1, error=errno.EACCES, only=frozenset({"open"}))
        self.assertRaises(Unreadable, self.spool.claim, entry)
        self.assertFalse(self.spool.health.closed)

    def test_a_bad_sector_is_told_from_a_shortage(self) -> None:
        """What concerns one file alone is *unreadable*; what passes by itself is not."""
        entry = self.accept()
        for error, is_its_own in ((errno.EIO, True), (errno.EMFILE, False)):
            self.faulty(fails_at=1, error=error, only=frozenset({"pread"}))
            refused = self.assertRaises(SpoolError, self.spool.claim, entry)
            self.assertEqual(isinstance(refused, Unreadable), is_its_own)
            self.assertFalse(self.spool.health.closed)

    def test_file_system_gone_read_only_closes_the_gate(self) -> None:
        """Delivery has to stop as well: what it sends could not be removed."""
        entry = self.accept()
        self.faulty(fails_at=1, error=errno.EROFS, only=frozenset({"unlink"}))
        self.assertRaises(SpoolError, self.spool.remove, self.claimed(entry))
        self.assertEqual(os.strerror(errno.EROFS), self.spool.health.cause)
        self.assertEqual([entry], list(self.spool.entries()))


def gate(spool: Spool) -> tuple[bool, str, float]:
    return spool.health.closed, spool.health.cause, spool.health.since
