"""How late the reactor is."""

from __future__ import annotations

import io

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.events import EventLog
from m365gw.metrics import Metrics
from m365gw.service.lag import Lag


class LagTests(SynchronousTestCase):
    def test_what_is_late_is_counted(self) -> None:
        """By a clock that nobody sets; a stop ends it."""
        clock, now = Clock(), [0.0]
        log = EventLog(io.StringIO(), hostname="gw")
        metrics = Metrics(clock.seconds)
        log.listeners.append(metrics.heard)
        lag = Lag(clock, log, lambda: now[0])
        lag.start()
        for late in (0.0, 0.3):
            now[0] += 1 + late
            clock.advance(1)
        counted = metrics.histograms["m365gw_loop_lag_seconds"]
        self.assertEqual((sum(counted.counts), round(counted.total, 6)), (2, 0.3))
        lag.stop()
        self.assertEqual(clock.getDelayedCalls(), [])
