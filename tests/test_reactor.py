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
