"""A small part of the simulated day, in every run: `bench.simulated_day`."""

from __future__ import annotations

import random

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from bench.simulated_day import (
    HOUR,
    MINUTE,
    MOST_SLOTS,
    START,
    Arrival,
    SimulatedDay,
    mail,
    tell,
)
from m365gw.config.settings import Governor as Limits

HELD = "box4@contoso.com"


class SimulatedDayTests(SynchronousTestCase):
    def day(self, arrivals: list[Arrival], limits: Limits) -> SimulatedDay:
        day = SimulatedDay(self.mktemp(), arrivals, limits)
        self.addCleanup(day.close)
        return day

    def test_limits_are_kept_and_nobody_is_starved(self) -> None:
        """Ten mailboxes for two hours, one held for a while, some with more than their day."""
        limits = evolve(Limits(), recipients_per_day=1200)
        day = self.day(mail(8000, random.Random(7), 2 * HOUR), limits)
        day.hold(HELD, START + 0.7 * HOUR, START + 1.1 * HOUR)
        for _ in day.run(START + 2 * HOUR):
            pass
        self.assertEqual(list(tell(day, limits, lambda line: None)), [])
        sent = {box: len(dots) for box, dots in day.microsoft.dots.items()}
        self.assertEqual(len(sent), 10)
        recipients = day.microsoft.most_recipients("box0@contoso.com", 24 * HOUR)
        self.assertEqual(recipients, limits.recipients_per_day)
        self.assertGreater(day.microsoft.most_messages("box2@contoso.com", MINUTE), 26)
        silent = [at for at, _ in day.microsoft.dots[HELD] if 0.72 <= (at - START) / HOUR < 1.1]
        self.assertEqual(silent, [])

    def test_a_burst_of_fifty_thousand_delays_another_by_a_slot(self) -> None:
        """The single message of another source goes next, or next but one."""
        burst = [Arrival(START + 1, HELD, 1, 1)] * 50_000
        single = [Arrival(START + 60.0 * place, HELD, 2, 1) for place in range(2, 7)]
        day = self.day(burst + single, Limits())
        for _ in day.run(START + 10 * MINUTE):
            pass
        waits = [wait for wait in day.waits if wait.source == 2]
        self.assertEqual(len(waits), 5)
        self.assertLessEqual(max(wait.slots for wait in waits), 1)
        self.assertLess(max(wait.seconds for wait in waits), 10.0)

    def test_the_count_would_tell(self) -> None:
        """A governor that allows more than Microsoft is found out by the count."""
        too_fast = evolve(Limits(), messages_per_minute=33.0, recipients_per_day=330)
        day = self.day(mail(4000, random.Random(7), HOUR), too_fast)
        for _ in day.run(START + HOUR):
            pass
        faults = list(tell(day, evolve(Limits(), recipients_per_day=300), lambda line: None))
        self.assertTrue(any("a minute" in fault for fault in faults))
        self.assertTrue(any("a day" in fault for fault in faults))
        self.assertLessEqual(max(wait.slots for wait in day.waits), MOST_SLOTS)
