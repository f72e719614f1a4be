"""Tests for `m365gw.spool.ledger`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from attrs import define
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.spool import ledger as module
from m365gw.spool.health import Health, SpoolError, Unusable
from m365gw.spool.ledger import CELLS, Clocks, Ledger

EPOCH = 1_800_000_000.0
DAY = 86400.0

# A process that draws until it is killed: it counts in the ledger, then tells what it counted.
DRAWING = """
import os, sys
from m365gw.spool.health import Health
from m365gw.spool.ledger import Ledger

ledger = Ledger(sys.argv[1], Health(lambda: 0.0))
ledger.lease("places", 99)
while True:
    with ledger.drawing("shared", sys.argv[2]) as (shared, own):
        shared[0] += 1
        own[0] += 1
    os.write(1, b".")
"""


@define
class Machine:
    """A machine whose clocks a test moves."""

    wall: float = EPOCH
    up: float = 1000.0
    boots: int = 0

    def open(self, path: str) -> Ledger:
        clocks = Clocks(lambda: self.wall, lambda: self.up, f"boot {self.boots}")
        return Ledger(path, Health(lambda: self.wall), clocks)

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.up += seconds

    def restart(self, down: float) -> None:
        self.wall += down
        self.up = 5.0
        self.boots += 1


class RecordTests(SynchronousTestCase):
    """What is drawn."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.machine = Machine()

    def open(self) -> Ledger:
        ledger = self.machine.open(self.path)
        self.addCleanup(ledger.close)
        return ledger

    @settings(deadline=None, max_examples=40)
    @given(
        st.lists(
            st.tuples(
                st.integers(0, 2),
                st.sampled_from(["a", "b", "ä@x", ""]),
                st.integers(0, CELLS - 1),
                st.floats(allow_nan=False),
            )
        )
    )
    def test_all_who_share_it_see_the_same(self, draws: list[tuple[int, str, int, float]]) -> None:
        """Whoever draws, in whatever order, opened before or after: the last word counts."""
        self.path = self.mktemp()
        sharing = [self.open(), self.open(), self.open()]
        model: dict[str, list[float]] = {}
        for who, name, cell, value in draws:
            with sharing[who].drawing(name) as (record,):
                self.assertEqual(record, model.get(name, [0.0] * CELLS))
                record[cell] = value
            model[name] = list(record)
        for ledger in (*sharing, self.open()):
            for name, record in model.items():
                self.assertEqual(ledger.read(name), record)

    def test_unknown_name_is_all_noughts(self) -> None:
        """Looking at a record that is not there makes none."""
        ledger = self.open()
        self.assertEqual(ledger.read("nobody"), [0.0] * CELLS)
        self.assertEqual(os.stat(self.path).st_size, module._SIZE)

    def test_failed_draw_changes_nothing(self) -> None:
        """What goes wrong in the middle of a draw leaves the records as they were."""
        ledger = self.open()
        with self.assertRaises(ZeroDivisionError), ledger.drawing("a") as (record,):
            record[0] = 1 / 0
        with self.assertRaises(ZeroDivisionError), ledger.drawing("a") as (record,):
            record[0] = 5.0
            raise ZeroDivisionError
        self.assertEqual(self.open().read("a"), [0.0] * CELLS)

    def test_rubbish_begins_anew(self) -> None:
        """A file that is damaged counts from now on, and says since when."""
        for rubbish in (b"x", b"\0" * 5000, b"m365gw ledger 0\n" + b"\xff" * 600):
            with open(self.path, "wb") as file:
                file.write(rubbish)
            ledger = self.open()
            self.assertEqual((ledger.began, ledger.read("a")), (EPOCH, [0.0] * CELLS))

    def test_record_written_over_is_repaired(self) -> None:
        """Somebody who writes into the file while it is used costs a count, not the service."""
        ledger = self.open()
        with ledger.drawing("a") as (record,):
            record[0] = 5.0
        os.truncate(self.path, module._SIZE + 7)
        with ledger.drawing("a") as (record,):
            self.assertEqual(record[0], 0.0)
            record[0] = 6.0
        self.assertEqual(self.open().read("a")[0], 6.0)

    def test_disk_that_fails_is_an_error(self) -> None:
        """An error of the disk is a SpoolError and closes the gate."""
        ledger = self.open()
        ledger.read("a")

        def fail(*_: object) -> bytes:
            raise OSError(5, "Input/output error")

        self.patch(os, "pwrite", fail)
        with self.assertRaises(SpoolError), ledger.drawing("a") as (record,):
            record[0] = 1.0
        self.assertTrue(ledger._health.closed)

    def test_lock_that_is_never_given_back_is_an_error(self) -> None:
        """A process that was stopped while it drew hangs nobody."""
        ledger, other = self.open(), self.open()
        self.patch(module, "PATIENCE", 0.0)
        with ledger.drawing("a"), self.assertRaises(SpoolError), other.drawing("a"):
            self.fail("both have the lock")

    def test_folder_in_its_place(self) -> None:
        """What cannot be opened is said when the service starts."""
        os.mkdir(self.path)
        with self.assertRaises(Unusable):
            self.open()


class TimeTests(SynchronousTestCase):
    """The ledger's own time."""

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.machine = Machine()

    def open(self) -> Ledger:
        ledger = self.machine.open(self.path)
        self.addCleanup(ledger.close)
        return ledger

    def test_clock_of_the_machine_does_not_matter(self) -> None:
        """Set back by a day or forward by a year: the ledger's time runs on evenly."""
        ledger = self.open()
        start = ledger.now()
        for shift in (-DAY, 365 * DAY, -3600.0):
            self.machine.wall += shift
            self.machine.pass_time(10.0)
        self.assertEqual((ledger.now() - start, self.open().now() - start), (30.0, 30.0))

    def test_restart_of_the_service_loses_nothing(self) -> None:
        """In the same boot the count is whole since the first start."""
        self.open()
        self.machine.pass_time(500.0)
        ledger = self.open()
        self.assertEqual((ledger.began, ledger.now()), (EPOCH, EPOCH + 500.0))

    def test_restart_of_the_machine(self) -> None:
        """Time goes on by as much as the machine was down, and the count begins to be whole."""
        ledger = self.open()
        self.machine.pass_time(500.0)
        ledger.note_time()
        self.machine.restart(300.0)
        ledger = self.open()
        self.assertEqual((ledger.began, ledger.now()), (EPOCH + 800.0, EPOCH + 800.0))

    def test_machine_that_wakes_in_the_past(self) -> None:
        """A machine whose clock is lost when it starts does not turn the ledger's time back."""
        ledger = self.open()
        self.machine.pass_time(500.0)
        ledger.note_time()
        self.machine.restart(-20 * 365 * DAY)
        self.assertEqual(self.open().now(), EPOCH + 500.0)

    @settings(deadline=None, max_examples=40)
    @given(
        st.lists(
            st.tuples(st.sampled_from(["pass", "set", "restart", "reopen"]), st.floats(-1e6, 1e6)),
            max_size=12,
        )
    )
    def test_time_never_runs_backwards(self, happenings: list[tuple[str, float]]) -> None:
        """Whatever happens to the machine and its clock, later is later."""
        self.path = self.mktemp()
        ledger = self.open()
        latest = ledger.now()
        for what, seconds in happenings:
            if what == "pass":
                self.machine.pass_time(abs(seconds))
            elif what == "set":
                self.machine.wall += seconds
            else:
                ledger.note_time()
                if what == "restart":
                    self.machine.restart(seconds)
                ledger = self.open()
            self.assertGreaterEqual(ledger.now(), latest - 1e-3)
            latest = ledger.now()


class LeaseTests(SynchronousTestCase):
    """Places that die with whoever holds them."""

    def test_no_more_than_there_are(self) -> None:
        """Whoever asks, no more are held at a time than the smallest number asked for."""
        path, machine = self.mktemp(), Machine()
        one, other = machine.open(path), machine.open(path)
        self.assertTrue(one.lease("box", 2))
        self.assertTrue(other.lease("box", 2))
        self.assertFalse(one.lease("box", 2))
        self.assertTrue(one.lease("another", 2))
        other.release("box")
        self.assertTrue(one.lease("box", 2))
        self.assertEqual((one.leased("box"), other.leased("box")), (2, 0))
        one.close()
        self.assertTrue(other.lease("box", 1))
        other.close()


class LetGoTests(SynchronousTestCase):
    """The ledger of a spool whose disk is unmounted and mounted again."""

    def test_it_goes_on_where_it_was(self) -> None:
        """Meanwhile nothing can be drawn, and nothing is read as if it had never been counted."""
        path, machine = self.mktemp(), Machine()
        ledger = machine.open(path)
        self.addCleanup(ledger.close)
        with ledger.drawing("a") as (cells,):
            cells[0] = 7.0
        self.assertTrue(ledger.lease("places", 1))
        ledger.let_go()
        self.assertRaises(SpoolError, ledger.read, "a")
        self.assertRaises(SpoolError, ledger.note_time)
        ledger.take_again()
        other = machine.open(path)
        self.addCleanup(other.close)
        self.assertEqual((ledger.read("a")[0], other.read("a")[0]), (7.0, 7.0))
        self.assertFalse(other.lease("places", 1))


class KillTests(SynchronousTestCase):
    """Several processes that draw, and kill -9."""

    def test_nothing_is_lost_and_nothing_counted_twice(self) -> None:
        """Three processes, killed in the middle: all they told of is counted, and hardly more."""
        path = self.mktemp()
        drawing = [
            subprocess.Popen(
                [sys.executable, "-c", DRAWING, path, f"own {number}"], stdout=subprocess.PIPE
            )
            for number in range(3)
        ]
        told = [0] * 3
        for number, process in enumerate(drawing):
            assert process.stdout is not None
            told[number] += len(os.read(process.stdout.fileno(), 1))  # all of them are at it
        for number, process in enumerate(drawing):
            assert process.stdout is not None
            while told[number] < 300:
                told[number] += len(os.read(process.stdout.fileno(), 10_000))
            process.send_signal(signal.SIGKILL)
            told[number] += len(process.stdout.read())
            process.stdout.close()
            process.wait()
        ledger = Ledger(path, Health(lambda: 0.0))
        self.addCleanup(ledger.close)
        counts = [round(ledger.read(f"own {number}")[0]) for number in range(3)]
        for number, count in enumerate(counts):
            self.assertTrue(told[number] <= count <= told[number] + 1, (told, counts))
        # Killed between its two records, one may have charged the shared one alone: never less.
        self.assertTrue(sum(counts) <= ledger.read("shared")[0] <= sum(counts) + 3)
        self.assertTrue(ledger.lease("places", 1))
