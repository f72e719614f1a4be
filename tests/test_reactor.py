"""The reactor of the gateway."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable

from twisted.internet import error
from twisted.internet.abstract import FileDescriptor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from m365gw.reactor import Reactor


class Reading(FileDescriptor):
    """One end of a pair of sockets; `heard` is called when there is something to read."""

    def __init__(self, reactor: Reactor, end: socket.socket, heard: Callable[[], object]) -> None:
        super().__init__(reactor)  # type: ignore[no-untyped-call]
        self._end = end
        self._heard = heard
        self.lost: list[Failure] = []

    def fileno(self) -> int:
        return self._end.fileno()

    def doRead(self) -> object:
        return self._heard()

    def connectionLost(self, reason: Failure) -> None:
        self.lost.append(reason)


class ReactorTests(SynchronousTestCase):
    """Events reach those they concern, and no others suffer from what happens there."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.addCleanup(self.reactor._poller.close)
        self.heard: list[str] = []

    def reading(self, heard: Callable[[], object]) -> tuple[Reading, socket.socket]:
        """Somebody who reads, and the socket to make it hear."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        reading = Reading(self.reactor, ours, heard)
        self.reactor.addReader(reading)
        theirs.send(b"x")
        return reading, theirs

    def test_event_reaches_whom_it_concerns(self) -> None:
        """Each one that has something to read is told once a turn."""
        for name in ("first", "second"):
            self.reading(lambda name=name: self.heard.append(name))
        self.reactor.doIteration(0)
        self.assertEqual({"first", "second"}, set(self.heard))
        self.assertEqual(2, len(self.heard))

    def test_one_that_raises_is_lost_and_the_others_are_told(self) -> None:
        """Its connection is closed with the error, as Twisted does."""
        broken, _ = self.reading(lambda: 1 // 0)
        self.reading(lambda: self.heard.append("other"))
        self.reactor.doIteration(0)
        self.assertEqual(["other"], self.heard)
        self.assertIsNotNone(broken.lost[0].check(ZeroDivisionError))
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_one_closed_in_the_same_turn_is_not_told(self) -> None:
        """What the kernel said of it is of no interest any more."""
        both: list[Reading] = []

        def close_the_other() -> None:
            self.heard.append("one")
            for reading in both:
                self.reactor.removeReader(reading)

        both += [self.reading(close_the_other)[0] for _ in range(2)]
        self.reactor.doIteration(0)
        self.assertEqual(["one"], self.heard)

    def test_peer_that_closed_is_lost(self) -> None:
        """The end of a connection ends in connectionLost."""
        reading, theirs = self.reading(error.ConnectionDone)
        theirs.close()
        self.reactor.doIteration(0)
        self.assertIsNotNone(reading.lost[0].check(error.ConnectionDone))

    def test_service_gets_it_unless_another_was_chosen(self) -> None:
        """What twistd loads of us installs it; the one of `twistd --reactor` stays."""
        said = "from twisted.internet import reactor; print(type(reactor).__module__)"
        for before, expected in (
            ("", "m365gw.reactor"),
            ("from twisted.internet import selectreactor as chosen; chosen.install()\n", "select"),
        ):
            code = f"{before}import m365gw.twistd\n{said}"
            run = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True
            )
            self.assertIn(expected, run.stdout)


class Writing(FileDescriptor):
    """One end of a pair of sockets, that has some pieces to write, one at a time."""

    def __init__(self, reactor: Reactor, end: socket.socket, pieces: int) -> None:
        super().__init__(reactor)  # type: ignore[no-untyped-call]
        self._end = end
        self._reactor = reactor
        self.left = pieces
        self.lost: list[Failure] = []

    def fileno(self) -> int:
        return self._end.fileno()

    def doWrite(self) -> object:
        self._reactor.addWriter(self)  # as one that connects does, each time
        self.left -= 1
        if self.left < 0:
            raise ZeroDivisionError
        if not self.left:
            self._reactor.removeWriter(self)
        return None

    def connectionLost(self, reason: Failure) -> None:
        self.lost.append(reason)


class WriterTests(SynchronousTestCase):
    """Who wants to write is tried at once, and waited for only then."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.addCleanup(self.reactor._poller.close)

    def writing(self, pieces: int) -> Writing:
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        writing = Writing(self.reactor, ours, pieces)
        self.reactor.addWriter(writing)
        return writing

    def test_one_that_can_write_is_never_waited_for(self) -> None:
        """It is done when the turn begins, and the kernel was not asked."""
        writing = self.writing(1)
        self.assertEqual([writing], self.reactor.getWriters())
        self.reactor.doIteration(None)  # and the turn does not wait for ever
        self.assertEqual((0, []), (writing.left, self.reactor.getWriters()))
        self.assertEqual(set(), self.reactor._writes)

    def test_one_that_has_more_is_waited_for(self) -> None:
        """It gets its turn when the kernel says so, and no busy loop comes of it."""
        writing = self.writing(3)
        self.reactor._try_writers()
        self.assertEqual((2, {writing.fileno()}), (writing.left, self.reactor._writes))
        for _ in range(2):
            self.reactor.doIteration(0)
        self.assertEqual((0, []), (writing.left, self.reactor.getWriters()))

    def test_one_that_changed_its_mind_is_not_told(self) -> None:
        """Removed before its turn."""
        writing = self.writing(1)
        self.reactor.removeWriter(writing)
        self.reactor.doIteration(0)
        self.assertEqual((1, []), (writing.left, self.reactor.getWriters()))

    def test_one_that_raises_is_lost(self) -> None:
        """Its connection is closed with the error, and nobody waits for it."""
        writing = self.writing(0)
        self.reactor.doIteration(0)
        self.assertIsNotNone(writing.lost[0].check(ZeroDivisionError))
        self.assertEqual([], self.reactor.getWriters())
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_stop_forgets_nobody(self) -> None:
        """Those not tried yet are among those whose connections end."""
        tried, untried = self.writing(2), self.writing(1)
        self.reactor.removeWriter(untried)
        self.reactor._try_writers()
        self.reactor.addWriter(untried)
        self.assertLessEqual({tried, untried}, set(self.reactor.removeAll()))
        self.assertEqual([], self.reactor.getWriters())
