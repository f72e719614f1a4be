"""A disk that fails is let go of, and taken again when a spool is at its path."""

from __future__ import annotations

import errno
import os

from m365gw.spool import layout
from m365gw.spool.health import SpoolError, Unusable
from m365gw.spool.names import State
from tests.spool.cases import CONTENT, ENVELOPE, ORIGIN, SpoolCase
from tests.spool.faults import FaultyFiles

ALL_THAT_WRITE = frozenset({"fsync", "fdatasync", "rename", "unlink", "open_or_create", "create"})


class GripTests(SpoolCase):
    """The probe of a spool whose gate is closed."""

    def failed(self) -> FaultyFiles:
        """A spool whose disk has failed; it works again when the calls are not armed."""
        calls = self.faulty(fails_at=1, error=errno.EIO, persists=True, only=ALL_THAT_WRITE)
        self.assertRaises(SpoolError, self.spool.write_state, "x", b"x")
        self.assertTrue(self.spool.health.closed)
        return calls

    def open_gate(self) -> None:
        """A minute of good probes."""
        self.spool.grip.probe()
        self.now += 61
        self.assertTrue(self.spool.grip.probe())

    def test_nothing_is_held_while_the_disk_fails(self) -> None:
        """So that it can be unmounted; what is still asked of it is refused."""
        entry = self.accept()
        self.failed()
        self.assertFalse(self.spool.grip.probe())
        held = [os.readlink(f"/proc/self/fd/{fd}") for fd in self.spool.grip.descriptors]
        self.assertEqual(held, ["/dev/null"] * 3)
        self.assertRaises(SpoolError, self.spool.claim, entry)
        self.assertRaises(SpoolError, list, self.spool.entries())
        self.assertIn("Input/output error", self.spool.grip.obstacle)

    def test_it_goes_on_with_what_is_at_the_path(self) -> None:
        """What was there is there, new mail is taken, and nobody else gets the lock."""
        entry = self.accept()
        calls = self.failed()
        self.spool.grip.probe()
        calls.armed = False
        self.open_gate()
        self.assertEqual((self.spool.grip.times_found, self.spool.grip.obstacle), (1, ""))
        self.assertEqual([entry.id, self.accept().id], sorted(e.id for e in self.spool.entries()))
        self.assertRaises(Unusable, self.opened)

    def test_an_empty_mount_point_stays_empty(self) -> None:
        """Mail written there would vanish under the disk when that is mounted again."""
        calls = self.failed()
        self.spool.grip.probe()
        calls.armed = False
        os.rename(self.path, f"{self.path}.away")
        os.mkdir(self.path, 0o700)
        self.now += 100
        self.assertFalse(self.spool.grip.probe())
        self.assertIn(f"There is no spool in {self.path}", self.spool.grip.obstacle)
        self.assertEqual(os.listdir(self.path), [])
        os.rmdir(self.path)
        os.rename(f"{self.path}.away", self.path)
        self.open_gate()
        self.accept()

    def test_a_spool_that_somebody_else_took_is_left_alone(self) -> None:
        """Whoever locked it meanwhile writes to it; it goes on when that one has ended."""
        calls = self.failed()
        self.spool.grip.probe()
        calls.armed = False
        other = self.opened()
        self.assertFalse(self.spool.grip.probe())
        self.assertIn("in use by another process", self.spool.grip.obstacle)
        other.close()
        self.open_gate()

    def test_what_was_refused_does_not_come_back(self) -> None:
        """Its client was told 451; what was promised and lies hidden again is taken up."""
        promised = self.accept()
        calls = self.faulty(fails_at=1, error=errno.EIO, persists=True, only=ALL_THAT_WRITE)
        calls.armed = False
        draft = self.spool.draft(ENVELOPE, ORIGIN)
        draft.write(CONTENT)
        draft.finish()
        calls.begin()
        [refused] = self.spool.commit([draft])
        self.assertIsInstance(refused, SpoolError)
        hidden = os.path.join(self.path, layout.hidden_path(promised.queue_id))
        os.rename(self.file_of(promised), hidden)  # as a power loss leaves it
        self.assertEqual(2, len(os.listdir(os.path.dirname(hidden))))
        self.spool.grip.probe()
        calls.armed = False
        self.open_gate()
        self.assertEqual([promised], list(self.spool.entries(State.INCOMING)))
        self.assertEqual(1, len(os.listdir(os.path.dirname(hidden))))

    def test_a_message_that_ends_while_the_gate_is_closed_is_refused(self) -> None:
        """Also when the disk would take it just now."""
        draft = self.spool.draft(ENVELOPE, ORIGIN)
        draft.write(CONTENT)
        self.spool.health.fail(OSError(errno.EIO, "x"))
        self.assertRaises(SpoolError, draft.finish)
        self.assertEqual([], os.listdir(os.path.join(self.path, "incoming/new")))

    def test_a_full_disk_is_none_that_failed(self) -> None:
        """The gate opens, so that delivery can make room."""
        self.faulty(fails_at=1, error=errno.ENOSPC, persists=True, only=frozenset({"truncate"}))
        self.spool.health.fail(OSError(errno.EIO, "x"))
        self.open_gate()
        self.assertEqual(0, self.spool.grip.times_found)
