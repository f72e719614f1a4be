"""The ring of the commit log, and its format."""

from __future__ import annotations

import errno
import os
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.spool import layout, log_format
from m365gw.spool.commit_log import MOST_AT_ONCE, CommitLog, Kept, Logged
from m365gw.spool.health import Health
from m365gw.spool.log_format import BLOCK, FIRST_ROUND, ROUND_LENGTH, Head
from m365gw.spool.names import Entry, State
from tests.spool.faults import FaultyFiles
from tests.spool.memory import MemoryFiles

SIZE = FIRST_ROUND + 5 * BLOCK
ENTRY = Entry(1, State.INCOMING, 1, 0, 0, 1, 1)


class RingTests(SynchronousTestCase):
    """Rounds follow one another, and take the place only of what is settled."""

    def setUp(self) -> None:
        self.files = MemoryFiles()
        self.health = Health(lambda: 1.0)

    def log(self, files: Any = None) -> CommitLog:
        log = CommitLog.create(files or self.files, self.health, SIZE)
        assert log is not None
        return log

    def found(self) -> list[tuple[int, bytes]]:
        """What a start finds in the log: numbers of rounds, and what is in them."""
        fd = self.files.open(layout.LOG, False)
        head = log_format.read_head(self.files, fd)
        assert head is not None
        return [
            (round_.number, self.files.pread(fd, round_.length, round_.offset))
            for round_ in log_format.unsettled(self.files, fd, head)
        ]

    @given(
        st.lists(
            st.one_of(
                st.binary(min_size=1, max_size=12).map(lambda octets: octets * 1000),
                st.integers(1, 4),
            )
        )
    )
    def test_what_is_needed_is_there(self, steps: list[bytes | int]) -> None:
        """Whatever is written and settled, in any order, at any time."""
        self.setUp()
        log = self.log()
        needed: list[tuple[Logged, bytes]] = []
        for step in steps:
            if isinstance(step, bytes):
                logged = log.append([[step[:5], step[5:]]])
                if logged is not None:
                    needed.append((logged, step))
                else:
                    self.assertTrue(needed or len(step) + ROUND_LENGTH > SIZE - FIRST_ROUND)
            elif needed:
                settled, needed = needed[:step], needed[step:]
                log.write_settled(settled[-1][0].number)
                log.free(settled[-1][0].number)
            self.assertEqual([(each.number, octets) for each, octets in needed], self.found())
        self.assertEqual(sum(len(octets) for _, octets in needed) <= SIZE, True)

    def test_empty_log_takes_what_fits(self) -> None:
        """Wherever the last round ended."""
        log = self.log()
        whole = SIZE - FIRST_ROUND - ROUND_LENGTH
        self.assertIsNone(log.append([[bytes(whole + 1)]]))
        for _ in range(3):
            for length in (10, whole):
                logged = log.append([[bytes(length)]])
                assert logged is not None
                log.free(logged.number)

    def test_open_files_are_bounded(self) -> None:
        """More messages than may be open at a time go to their files directly."""
        log = self.log()
        self.assertIsNone(log.append([[b"x"]] * (MOST_AT_ONCE + 1)))
        for _ in range(2):
            self.assertIsNotNone(log.append([[b"x"]] * MOST_AT_ONCE))
        self.assertIsNone(log.append([[b"x"]]))

    def test_settling_begins_with_the_oldest(self) -> None:
        """And ends before one that is not acknowledged, or with so many messages."""
        log = self.log()
        rounds = [log.append([[b"x"]] * 100) for _ in range(4)]
        self.assertEqual([], log.acknowledged())
        for acknowledged, settling in ((0, 1), (2, 1), (1, 2)):
            logged = rounds[acknowledged]
            assert logged is not None
            logged.messages = [Kept(ENTRY, -1)] * 100
            self.assertEqual(rounds[:settling], log.acknowledged())

    def test_round_that_was_refused_is_taken_back(self) -> None:
        """A start of the service does not bring it back."""
        log = self.log()
        logged = log.append([[b"x"]])
        assert logged is not None
        log.take_back(logged)
        self.assertEqual([], self.found())

    def test_no_room_for_a_log(self) -> None:
        """Then there is none, and nothing of it."""
        for number in range(1, 5):
            full = FaultyFiles(
                self.files,
                fails_at=number,
                error=errno.ENOSPC,
                only=frozenset({"pwritev", "fsync"}),
            )
            full.begin()
            self.assertIsNone(CommitLog.create(full, self.health, SIZE))
            if "fsync" in full.failed:
                break
        self.assertNotIn(f"{layout.LOG}.new", self.files.files)
        self.assertFalse(self.health.closed)

    def test_full_disk_and_broken_disk(self) -> None:
        """What cannot be written goes the other way; a disk that fails breaks the log."""
        for error in (errno.ENOSPC, errno.EIO):
            faulty = FaultyFiles(self.files, fails_at=1, error=error)
            log = self.log(faulty)
            faulty.begin()
            self.assertIsNone(log.append([[b"x"]]))
            self.assertEqual(error == errno.EIO, log.is_broken)
            self.assertEqual(error == errno.EIO, self.health.closed)
            self.assertEqual(error == errno.ENOSPC, log.append([[b"x"]]) is not None)

    def test_only_a_log_that_is_not_needed_is_removed(self) -> None:
        """When the service stops in good order there is none."""
        for is_needed in (False, True):
            log = self.log()
            if is_needed:
                log.append([[b"x"]])
            log.close()
            self.assertEqual(is_needed, layout.LOG in self.files.files)

    def test_broken_log_is_kept(self) -> None:
        """What was acknowledged is in it."""
        log = self.log()
        log.fail(OSError(errno.EIO, os.strerror(errno.EIO)))
        log.close()
        self.assertIn(layout.LOG, self.files.files)


class FormatTests(SynchronousTestCase):
    """What is whole is told from what is not."""

    @given(st.binary(min_size=16, max_size=16), st.integers(0, 10**16 - 1), st.binary())
    def test_head(self, mark: bytes, settled: int, behind: bytes) -> None:
        """A head is what was written, whatever stands behind it."""
        head = Head(mark.hex().encode(), settled)
        self.assertEqual(head, log_format.parse_head(log_format.render_head(head) + behind))

    @given(st.integers(0, 70), st.integers(1, 255))
    def test_damaged_head(self, place: int, flip: int) -> None:
        """No octet of it may be another."""
        octets = bytearray(log_format.render_head(Head(b"0123456789abcdef" * 2, 7)))
        octets[place] ^= flip
        self.assertIsNone(log_format.parse_head(bytes(octets)))

    @given(st.binary(max_size=200))
    def test_anything_else_is_no_head(self, octets: bytes) -> None:
        """Nor does it raise."""
        self.assertIsNone(log_format.parse_head(octets))

    def test_length_of_the_line_of_a_round(self) -> None:
        """It is known before the round is."""
        line = log_format.render_round(b"0" * 32, 10**16 - 1, [b"x" * 100, b"y"])
        self.assertEqual(ROUND_LENGTH, len(line))
