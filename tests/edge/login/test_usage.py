"""When what is known of the use of passwords is written."""

from __future__ import annotations

import io
from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.directory.last_use import LastUse, Use
from m365gw.edge.login.usage import WRITE_AFTER, Usage
from m365gw.events import EventLog
from tests.edge.conversation import Thread


class UsageTests(SynchronousTestCase):
    """Cheap for a login, and written soon."""

    def setUp(self) -> None:
        self.clock, self.thread, self.output = Clock(), Thread(), io.StringIO()
        self.kept: list[Use] = []
        self.is_broken = False
        log = EventLog(self.output, hostname="gw")
        self.usage = Usage(LastUse(), self.clock, self.write, log)

    def write(self, uses: Sequence[Use]) -> Deferred[None]:
        writing: Deferred[None] = self.thread(self.keep, uses)
        return writing

    def keep(self, uses: Sequence[Use]) -> None:
        if self.is_broken:
            raise OSError("no database")
        self.kept += uses

    def written(self) -> list[tuple[str, float, str]]:
        return [(use.login, use.at, use.address) for use in self.kept]

    def test_written_at_most_once_a_minute(self) -> None:
        """Thousands of logins are one row a minute, written off the reactor."""
        self.thread.is_stalled = True
        for number in range(1000):
            self.usage.note("fax", "$hash$", f"10.0.0.{number % 9}")
            self.clock.advance(WRITE_AFTER / 1000)
        self.assertEqual(self.thread.waiting, 1)
        self.thread.run()
        [(login, at, address)] = self.written()
        self.assertEqual((login, address), ("fax", "10.0.0.0"))
        self.assertAlmostEqual(at, WRITE_AFTER * 0.999, places=3)
        self.clock.advance(10 * WRITE_AFTER)
        self.assertEqual(self.thread.waiting, 0)

    def test_orderly_stop_writes_what_is_left(self) -> None:
        """And nothing where nothing is left."""
        self.successResultOf(self.usage.settle())
        self.usage.note("fax", "$hash$", "")
        self.successResultOf(self.usage.settle())
        self.assertEqual(self.written(), [("fax", 0.0, "")])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failing_database_costs_a_log_line(self) -> None:
        """Logins go on; the next one tries again, also with what was not written."""
        self.is_broken = True
        self.usage.note("door", "$hash$", "10.0.0.7")
        self.clock.advance(WRITE_AFTER)
        self.assertIn("could not be written", self.output.getvalue())
        self.is_broken = False
        self.usage.note("fax", "$hash$", "10.0.0.8")
        self.clock.advance(WRITE_AFTER)
        told = [("door", 0.0, "10.0.0.7"), ("fax", WRITE_AFTER, "10.0.0.8")]
        self.assertEqual(self.written(), told)
