"""What is counted, and what is remembered: fed by the log, whatever its level."""

from __future__ import annotations

import io

from twisted.trial.unittest import SynchronousTestCase

from m365gw.events import EventLog
from m365gw.metrics import MINUTES, Kind, Metrics
from m365gw.recent import Recent

NOW = 1_800_000_000.0  # a full minute


class HeardTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = NOW
        self.log = EventLog(io.StringIO(), hostname="gw", level="error", clock=lambda: self.now)
        self.metrics, self.recent = Metrics(lambda: self.now), Recent(lambda: self.now, most=5)
        self.log.listeners += [self.metrics.heard, self.recent.heard]


class MetricsTests(HeardTestCase):
    def test_events_count_below_the_level_too(self) -> None:
        """What is counted does not depend on what is written."""
        self.log.emit("message.queued", "smtpd", "4Q7BX2K9M3PDW", listener="a", size=100)
        self.log.emit("delivery", "smtp", "4Q7BX2K9M3PDW", mailbox="r@x.example", status="held")
        self.log.emit("delivery", "smtp", "4Q7BX2K9M3PDW", mailbox="r@x.example", status="sent")
        self.log.emit("something.else", "smtpd")
        deliveries = "m365gw_deliveries_total"
        expected = {
            ("m365gw_messages_received_total", ("a",)): 1,
            ("m365gw_messages_received_bytes_total", ()): 100,
            (deliveries, ("r@x.example", "deferred")): 1,
            (deliveries, ("r@x.example", "delivered")): 1,
        }
        self.assertEqual(dict(self.metrics.totals), expected)

    def test_refusals_and_failed_logins(self) -> None:
        """By reason and mechanism, never by who it was."""
        self.log.emit("message.refused", "smtpd", level="warn", client="x")
        self.log.emit("login.failed", "smtpd", level="warn", sasl_method="PLAIN")
        self.assertEqual(sum(self.metrics.flow()[Kind.REFUSED]), 1)
        names = {name for name, _ in self.metrics.totals}
        self.assertEqual(names, {"m365gw_smtpd_rejects_total", "m365gw_smtpd_auth_total"})

    def test_the_flow_is_kept_by_the_minute_for_a_day(self) -> None:
        """What is older is forgotten; minutes in which nothing happened are noughts."""
        for minute in range(3):
            for _ in range(minute + 1):
                self.log.emit("message.queued", "smtpd", size=1)
            self.now += 60
        self.assertEqual(self.metrics.flow(5)[Kind.RECEIVED], [0, 1, 2, 3, 0])
        self.now += (MINUTES - 3) * 60
        self.assertEqual(sum(self.metrics.flow()[Kind.RECEIVED]), 5)
        self.now += MINUTES * 60
        self.assertEqual(sum(self.metrics.flow()[Kind.RECEIVED]), 0)

    def test_steps_are_whole_multiples(self) -> None:
        """The same minute is always in the same step; the newest has only begun."""
        self.log.emit("message.queued", "smtpd", size=1)
        self.now += 7 * 60
        self.log.emit("message.queued", "smtpd", size=1)
        self.assertEqual(self.metrics.flow(30, 10)[Kind.RECEIVED], [0, 0, 2])
        self.now += 3 * 60
        self.assertEqual(self.metrics.flow(30, 10)[Kind.RECEIVED], [0, 2, 0])

    def test_a_clock_that_is_set_back(self) -> None:
        """Costs nothing that was counted."""
        self.log.emit("message.queued", "smtpd", size=1)
        self.now -= 3600
        self.log.emit("message.queued", "smtpd", size=1)
        self.assertEqual(sum(self.metrics.flow()[Kind.RECEIVED]), 2)


class RecentTests(HeardTestCase):
    def test_events_of_a_message(self) -> None:
        """In order, with what was said; those of no message are left out."""
        self.log.emit("message.queued", "smtpd", "4Q7BX2K9M3PDW", from_="a@x.example")
        self.log.emit("message.refused", "smtpd", "NOQUEUE")
        self.now += 1
        self.log.emit("delivery", "smtp", "4Q7BX2K9M3PDW", note="250 OK")
        first, second = self.recent.of("4Q7BX2K9M3PDW")
        self.assertEqual((first.event, first.fields["from"]), ("message.queued", "a@x.example"))
        self.assertEqual((second.at, second.note), (NOW + 1, "250 OK"))

    def test_memory_is_bounded(self) -> None:
        """The oldest events go, and with the last of its events a message."""
        ids = [f"{number:013}" for number in range(6)]
        for queue_id in [*ids, ids[5]]:
            self.log.emit("delivery", "smtp", queue_id)
        self.assertEqual([len(self.recent.of(each)) for each in ids], [0, 0, 1, 1, 1, 2])
        self.assertEqual(self.recent.last(2), [ids[5], ids[4]])
