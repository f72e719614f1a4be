"""What systemd is told."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.service.supervisor import Supervisor


class SupervisorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.path = self.mktemp()
        self.ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.ear.close)
        self.ear.setblocking(False)

    def heard(self) -> list[str]:
        """The messages since the last time."""
        found = []
        while True:
            try:
                found.append(self.ear.recv(4096).decode())
            except BlockingIOError:
                return found

    def supervisor(self, **more: str) -> Supervisor:
        self.ear.bind(self.path)
        return Supervisor(self.clock, {"NOTIFY_SOCKET": self.path, **more})

    def test_ready_and_stopping(self) -> None:
        """Each step is one message, its first line as sd_notify(3) has it."""
        supervisor = self.supervisor()
        supervisor.ready()
        supervisor.reloading()
        supervisor.ready()
        supervisor.stopping("ends what is in hand")
        first = [message.splitlines()[0] for message in self.heard()]
        self.assertEqual(["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"], first)

    def test_signs_of_life_at_half_the_time(self) -> None:
        """They begin when it is ready, and end when all is said."""
        supervisor = self.supervisor(WATCHDOG_USEC="60000000", WATCHDOG_PID=str(os.getpid()))
        self.clock.advance(60)
        self.assertEqual([], self.heard())
        supervisor.ready()
        supervisor.ready()
        self.clock.pump([30] * 3)
        self.assertEqual(4, self.heard().count("WATCHDOG=1"))
        supervisor.gone()
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_signs_of_life_are_for_the_process_that_was_asked(self) -> None:
        """A child that inherits the environment sends none."""
        self.supervisor(WATCHDOG_USEC="60000000", WATCHDOG_PID="1").ready()
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_an_abstract_name(self) -> None:
        """A leading @ is a name in no file system."""
        name = f"@m365gw-test-{os.getpid()}-{self.id()}"
        self.ear.bind("\0" + name[1:])
        Supervisor(self.clock, {"NOTIFY_SOCKET": name}).ready()
        self.assertEqual(1, len(self.heard()))

    def test_nobody_listens(self) -> None:
        """Without a supervisor, or with one that has gone, nothing happens."""
        Supervisor(self.clock, {}).ready()
        gone = self.supervisor()
        self.ear.close()
        Path(self.path).unlink()
        gone.ready()
        self.assertEqual([], self.clock.getDelayedCalls())
