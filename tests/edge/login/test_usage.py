"""When what is known of the use of passwords is written."""

from __future__ import annotations

import io
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.directory.last_use import FILE, LastUse
from m365gw.edge.login.usage import WRITE_AFTER, Usage
from m365gw.events import EventLog
from tests.edge.conversation import Thread


class UsageTests(SynchronousTestCase):
    """Cheap for a login, and on disk soon."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.clock, self.thread, self.output = Clock(), Thread(), io.StringIO()
        self.uses = LastUse(str(self.folder))
        log = EventLog(self.output, hostname="gw")
        self.usage = Usage(self.uses, self.clock, self.thread, log)

    def on_disk(self) -> list[tuple[str, float, str]]:
        return [(use.login, use.at, use.address) for use in LastUse(str(self.folder))]

    def test_written_at_most_once_a_minute(self) -> None:
        """Thousands of logins are one small file a minute, written off the reactor."""
        self.thread.is_stalled = True
        for number in range(1000):
            self.usage.note("fax", "$hash$", f"10.0.0.{number % 9}")
            self.clock.advance(WRITE_AFTER / 1000)
        self.assertEqual(self.thread.waiting, 1)
        self.thread.run()
        [(login, at, address)] = self.on_disk()
        self.assertEqual((login, address), ("fax", "10.0.0.0"))
        self.assertAlmostEqual(at, WRITE_AFTER * 0.999, places=3)
        self.clock.advance(10 * WRITE_AFTER)
        self.assertEqual(self.thread.waiting, 0)

    def test_orderly_stop_writes_what_is_left(self) -> None:
        """And nothing where nothing is left."""
        self.successResultOf(self.usage.settle())
        self.assertFalse((self.folder / FILE).exists())
        self.usage.note("fax", "$hash$", "")
        self.successResultOf(self.usage.settle())
        self.assertEqual(self.on_disk(), [("fax", 0.0, "")])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failing_disk_costs_a_log_line(self) -> None:
        """Logins go on; the next one tries again."""
        self.folder.rename(f"{self.folder}.gone")
        Path(self.folder).write_text("no folder")
        self.usage.note("fax", "$hash$", "10.0.0.7")
        self.clock.advance(WRITE_AFTER)
        self.assertIn("could not be written", self.output.getvalue())
        self.folder.unlink()
        self.usage.note("fax", "$hash$", "10.0.0.8")
        self.clock.advance(WRITE_AFTER)
        self.assertEqual(self.on_disk(), [("fax", WRITE_AFTER, "10.0.0.8")])
