"""Little room on the disk of the spool, told once."""

from __future__ import annotations

import io
import json

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.service.room_watch import RoomWatch

LACK = {"what": "The disk is nearly full.", "why": "12 octets are free.", "fix": "Make room."}


class RoomWatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.stream = Clock(), io.StringIO()
        log = EventLog(
            self.stream,
            hostname="relay",
            format="json",
            level="info",
            clock=self.clock.seconds,
            flush_soon=lambda flush: flush(),
        )
        self.lack: dict[str, str] = {}
        incidents = Incidents(log, self.clock.seconds)
        self.watch = RoomWatch(lambda: self.lack, self.clock, incidents)
        self.watch.start()
        self.addCleanup(self.watch.stop)

    def wait(self, seconds: int) -> list[tuple[str, str]]:
        """Events with their keys after so many seconds."""
        self.clock.pump([1.0] * seconds)
        events = map(json.loads, self.stream.getvalue().splitlines())
        return [(event["event"], event["key"]) for event in events]

    def test_it_is_told_once_and_closed_once(self) -> None:
        """However often room comes and goes meanwhile."""
        opened, closed = (f"incident.{word}" for word in ("opened", "closed"))
        self.assertEqual(self.wait(100), [])
        for _ in range(5):
            self.lack = LACK
            self.wait(20)
            self.lack = {}
            self.assertEqual(self.wait(40), [(opened, "spool-full")])
        self.assertEqual(self.wait(40), [(opened, "spool-full"), (closed, "spool-full")])

    def test_it_stops(self) -> None:
        """Nothing is left that would keep a reactor busy."""
        self.watch.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
