"""What is counted, and what is remembered: fed by the log, whatever its level."""

from __future__ import annotations

import io

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.edge.session.seldom import Seldom
from m365gw.events import EventLog
from m365gw.metric_rules import RULES, Count
from m365gw.metric_table import METRICS
from m365gw.metrics import MINUTES, MOST_SERIES, Histogram, Kind, Metrics
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

    def test_what_is_not_logged_counts_too(self) -> None:
        """Logins and connections that end; a mechanism nobody offers is not a label of its own."""
        self.log.count("login.succeeded", sasl_method="PLAIN")
        self.log.count("login.succeeded", sasl_method="x" * 500)
        self.log.count("client.left", listener="a", tls="starttls")
        expected = {
            ("m365gw_smtpd_auth_total", ("PLAIN", "ok")): 1,
            ("m365gw_smtpd_auth_total", ("other", "ok")): 1,
            ("m365gw_smtpd_connections_total", ("a", "starttls")): 1,
        }
        self.assertEqual(dict(self.metrics.totals), expected)

    def test_what_is_told_seldom_is_counted_each_time(self) -> None:
        """The log holds back what an attack repeats; the count does not."""
        clock = Clock()
        seldom = Seldom(self.log, clock)
        for _ in range(5):
            seldom.warn("kind", "client.refused", "too many", client="x")
        self.assertEqual(self.metrics.totals["m365gw_smtpd_rejects_total", ("client",)], 5)

    def test_times_of_deliveries_go_into_buckets(self) -> None:
        """How long a message took in all, when it was delivered; and how long the attempt."""
        fields = {"mailbox": "r", "relay": "h[1.2.3.4]:587", "delay": "7.3"}
        self.log.emit("delivery", "smtp", status="sent", delays="7/0/0.2/0.1", **fields)
        self.log.emit("delivery", "smtp", status="deferred", delays="7/0/20/10", **fields)
        latency = self.metrics.histograms["m365gw_message_latency_seconds"]
        duration = self.metrics.histograms["m365gw_delivery_duration_seconds"]
        self.assertEqual((sum(latency.counts), latency.total), (1, 7.3))
        self.assertEqual((sum(duration.counts), round(duration.total, 6)), (2, 30.3))
        self.assertEqual(latency.counts[latency.bounds.index(10)], 1, "7.3 is up to 10")

    def test_a_value_on_a_bound_is_in_its_bucket(self) -> None:
        """As Prometheus has it: less or equal."""
        histogram = Histogram((1.0, 2.0))
        for value in (1.0, 1.5, 2.0, 3.0):
            histogram.observe(value)
        self.assertEqual(histogram.counts, [1, 2, 1])

    def test_names_without_end_are_not_told_apart(self) -> None:
        """However many mailboxes there are, memory is bounded."""
        for number in range(MOST_SERIES + 10):
            self.log.count("token.acquired", mailbox=f"{number}@x.example")
        self.assertLessEqual(len(self.metrics.totals), MOST_SERIES + 1)
        others = self.metrics.totals["m365gw_token_refreshes_total", ("others", "others")]
        self.assertEqual(others, 10)

    def test_every_rule_counts_what_is_in_the_table(self) -> None:
        """By the labels it has there."""
        for rules in RULES.values():
            for rule in rules:
                metric = METRICS[rule.name]
                if isinstance(rule, Count):
                    self.assertEqual(len(rule.values({})), len(metric.labels), rule.name)

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
