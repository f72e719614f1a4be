"""Tests for `m365gw.relay.governor`."""

from __future__ import annotations

import json
from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.settings import Governor as Limits
from m365gw.relay.governor import Governor

BOX = "relay@contoso.com"
OTHER = "alarm@contoso.com"
START = 1_800_000_000.0
DAY = 86400.0


def limits(**changes: float) -> Limits:
    """Limits that only bite where a test says so."""
    generous = {"connections": 100, "messages_per_minute": 1e9, "recipients_per_day": 10**9}
    return Limits(**{**generous, **changes})  # type: ignore[arg-type]  # ints and floats mixed


def send_all(governor: Governor, since: float, until: float) -> list[float]:
    """The times of all messages that go between two times when there is always one to send."""
    times, now = [], since
    while now < until:
        start = governor.next_start(BOX, now)
        if start > now:
            now = start + 1e-6
            continue
        if governor.grant(BOX, 1, now):
            times.append(now)
    return times


class PaceTests(SynchronousTestCase):
    """Messages a minute."""

    def test_new_mailbox_may_send_at_once(self) -> None:
        """The first message of a mailbox does not wait."""
        self.assertLessEqual(Governor(Limits()).next_start(BOX, START), START)

    def test_no_burst_credit_at_start(self) -> None:
        """A mailbox that was never heard of has no burst credit: it may have sent before us."""
        governor = Governor(Limits())
        self.assertEqual(governor.grant(BOX, 1, START), 1)
        self.assertEqual(governor.grant(BOX, 1, START), 0)
        self.assertGreater(governor.next_start(BOX, START), START + 2.0)

    def test_burst_after_quiet_time(self) -> None:
        """After a quiet time a burst of three goes at once, and the fourth waits."""
        governor = Governor(Limits())
        governor.grant(BOX, 1, START)
        later = START + 600.0
        self.assertEqual([governor.grant(BOX, 1, later) for _ in range(4)], [1, 1, 1, 0])

    @settings(deadline=None, max_examples=25)
    @given(st.integers(1, 60), st.integers(1, 20), st.floats(0, 200))
    def test_never_more_than_the_rate_in_any_minute(
        self, rate: int, burst: int, quiet: float
    ) -> None:
        """However burst and rate are set, no minute holds more messages than the rate."""
        governor = Governor(limits(messages_per_minute=rate, burst=burst))
        governor.grant(BOX, 1, START)
        times = send_all(governor, START + quiet, START + quiet + 200.0)
        for place, time in enumerate(times):
            window = [other for other in times[place:] if other <= time + 60.0]
            self.assertLessEqual(len(window), rate)

    def test_sustained_pace_is_near_the_rate(self) -> None:
        """Caution costs little: 27 of 30 a minute are used in the long run."""
        times = send_all(Governor(Limits(recipients_per_day=10**9)), START, START + 600.0)
        self.assertGreaterEqual(len(times), 268)

    def test_never_more_than_the_rate_across_a_restart(self) -> None:
        """A restart gives no credit: the minute around it stays within the rate."""
        first = Governor(Limits())
        first.grant(BOX, 1, START - 600)
        times = send_all(first, START, START + 30.0)
        second = Governor(Limits())
        second.restore(json.loads(json.dumps(first.state())), START + 30.0)
        times += send_all(second, START + 30.0, START + 60.0)
        self.assertLessEqual(len(times), 30)

    def test_clock_set_back_does_not_stop_mail(self) -> None:
        """After the clock was set back by a day the next message waits seconds, not a day."""
        governor = Governor(Limits())
        governor.grant(BOX, 1, START)
        self.assertLess(governor.next_start(BOX, START - DAY), START - DAY + 10.0)

    def test_clock_set_back_frees_the_day_within_a_day(self) -> None:
        """Recipients counted in a year to come, by a clock that was wrong, stop no mail for it."""
        governor = Governor(limits(recipients_per_day=5))
        self.assertEqual(governor.grant(BOX, 9, START + 365 * DAY), 5)
        self.assertEqual(governor.grant(BOX, 1, START), 0)
        self.assertLess(governor.next_start(BOX, START), START + 1.1 * DAY)
        self.assertEqual(governor.grant(BOX, 9, START + 1.1 * DAY), 5)

    def test_clock_set_back_forgets_no_lesson_and_keeps_none_for_ever(self) -> None:
        """What 432 and "too many recipients" taught lasts as long as it would have."""
        governor = Governor(limits(connections=2, recipients_per_message=100))
        governor.fewer_connections(BOX, START + 365 * DAY)
        governor.fewer_recipients(BOX, 20, START + 365 * DAY)
        self.assertEqual(governor.connections(BOX, START), 1)
        self.assertEqual(governor.recipients_per_message(BOX, START), 10)
        self.assertEqual(governor.connections(BOX, START + 601), 2)
        self.assertEqual(governor.recipients_per_message(BOX, START + DAY + 1), 100)

    def test_any_accepted_pace_works(self) -> None:
        """From one message in hours to more than any machine can send."""
        for rate in (0.0001, 0.01, 0.5, 1.0, 1.5, 2.0, 30.0, 1_000_000.0, inf):
            for burst in (1, 3, 10**9):
                governor = Governor(Limits(messages_per_minute=rate, burst=burst))
                self.assertEqual(governor.grant(BOX, 1, START), 1)
                later = governor.next_start(BOX, START)
                self.assertLess(later - START, 60 / rate * 1.04 * min(burst, max(1, rate / 2)) + 1)
                self.assertEqual(governor.grant(BOX, 1, later + 1e-6), 1, (rate, burst))

    def test_mailboxes_are_paced_apart(self) -> None:
        """What one mailbox sends does not slow another."""
        governor = Governor(Limits())
        governor.grant(BOX, 1, START)
        self.assertEqual(governor.grant(OTHER, 1, START), 1)

    def test_grant_given_back_may_be_used_again(self) -> None:
        """A transaction that never came to be costs neither pace nor recipients."""
        governor = Governor(Limits(recipients_per_day=5))
        governor.grant(BOX, 5, START)
        governor.give_back(BOX, 5, START)
        self.assertEqual(governor.grant(BOX, 5, START), 5)


class ConnectionTests(SynchronousTestCase):
    """Connections at a time, and what a 432 teaches."""

    def test_all_connections_in_use(self) -> None:
        """With all connections in use there is no time to name: one must end first."""
        governor = Governor(limits(connections=2))
        governor.begin(BOX, START)
        self.assertLessEqual(governor.next_start(BOX, START), START)
        governor.begin(BOX, START)
        self.assertEqual(governor.next_start(BOX, START), inf)
        governor.end(BOX, START)
        self.assertLessEqual(governor.next_start(BOX, START), START)

    def test_432_halves_and_one_grows_back_each_ten_minutes(self) -> None:
        """After a 432 half the connections are used, and one more each ten minutes."""
        governor = Governor(limits(connections=3))
        governor.fewer_connections(BOX, START)
        allowed = [
            governor.connections(BOX, START + minutes * 60) for minutes in (0, 9, 10, 20, 90)
        ]
        self.assertEqual(allowed, [1, 1, 2, 3, 3])

    def test_one_connection_is_always_left(self) -> None:
        """However often 432 is answered, one connection stays."""
        governor = Governor(limits(connections=2))
        for _ in range(5):
            governor.fewer_connections(BOX, START)
        self.assertEqual(governor.connections(BOX, START), 1)


class RecipientTests(SynchronousTestCase):
    """Recipients of a transaction and of a day."""

    def test_transaction_is_cut_to_what_it_may_have(self) -> None:
        """A grant is never larger than recipients_per_message."""
        self.assertEqual(Governor(limits()).grant(BOX, 250, START), 100)

    def test_too_many_recipients_teaches_smaller_transactions(self) -> None:
        """After "too many recipients" transactions are half as large for a day."""
        governor = Governor(limits())
        governor.fewer_recipients(BOX, 80, START)
        self.assertEqual(governor.recipients_per_message(BOX, START + 60), 40)
        self.assertEqual(governor.recipients_per_message(BOX, START + DAY), 100)

    def test_the_day_runs_out(self) -> None:
        """What the day has left is granted, then nothing until its first hour is over."""
        governor = Governor(limits(recipients_per_day=150))
        self.assertEqual(governor.grant(BOX, 100, START), 100)
        self.assertEqual(governor.grant(BOX, 100, START + 1), 50)
        self.assertEqual(governor.grant(BOX, 1, START + 2), 0)
        wait = governor.next_start(BOX, START + 2) - START
        self.assertTrue(DAY <= wait <= DAY + 3600, wait)

    def test_the_day_rolls(self) -> None:
        """A day later the recipients are there again."""
        governor = Governor(limits(recipients_per_day=100))
        governor.grant(BOX, 100, START)
        free = governor.next_start(BOX, START + 5)
        self.assertEqual(governor.grant(BOX, 100, free), 100)

    @settings(deadline=None, max_examples=40)
    @given(st.lists(st.tuples(st.integers(1, 60), st.floats(0, 20000)), max_size=60))
    def test_never_more_than_the_limit_in_any_day(self, steps: list[tuple[int, float]]) -> None:
        """Whatever is asked and when, no 24 hours hold more recipients than the limit."""
        governor, now = Governor(limits(recipients_per_day=100)), START
        sent: list[tuple[float, int]] = []
        for wanted, pause in steps:
            now += pause
            sent.append((now, governor.grant(BOX, wanted, now)))
            recent = sum(count for time, count in sent if time >= now - DAY)
            self.assertLessEqual(recent, 100)


class MemoryTests(SynchronousTestCase):
    """What outlives the process."""

    def test_budgets_survive_a_restart(self) -> None:
        """Recipients of the day and learned limits are the same after a restart."""
        first = Governor(limits(connections=3, recipients_per_day=100))
        first.grant(BOX, 60, START)
        first.fewer_connections(BOX, START)
        first.fewer_recipients(BOX, 50, START)
        second = Governor(limits(connections=3, recipients_per_day=100))
        second.restore(json.loads(json.dumps(first.state())), START + 60)
        self.assertEqual(second.connections(BOX, START + 60), 1)
        self.assertEqual(second.recipients_per_message(BOX, START + 60), 25)
        self.assertEqual(sum(second.grant(BOX, 60, START + 60 + n) for n in range(3)), 40)

    def test_damaged_state_is_refused_whole(self) -> None:
        """A file that says something else raises and changes nothing."""
        governor = Governor(limits(recipients_per_day=10))
        for damaged in ({BOX: {}}, {BOX: 3}, {BOX: {"fewer": [], "smaller": []}}):
            with self.assertRaises((ValueError, TypeError, LookupError)):
                governor.restore(damaged, START)
        self.assertEqual(governor.state(), {})


class NewLimitsTests(SynchronousTestCase):
    """Limits that change while mail flows."""

    def test_a_new_pace_brings_no_credit(self) -> None:
        """Whatever the old pace was, no minute has more than the larger of the two allows."""
        for before, after in ((3, 10), (10, 3)):
            governor = Governor(Limits(burst=before))
            times = send_all(governor, START, START + 600)
            governor.configure(Limits(burst=after), START + 600)
            times += send_all(governor, START + 600, START + 1200)
            for start in times:
                self.assertLessEqual(sum(start <= at < start + 60 for at in times), 30)

    def test_what_was_used_stays_used(self) -> None:
        """The day's recipients and the connections in use are counted on."""
        governor = Governor(limits(recipients_per_day=100))
        governor.begin(BOX, START)
        governor.grant(BOX, 60, START)
        governor.configure(limits(recipients_per_day=70, connections=1), START)
        self.assertEqual(governor.next_start(BOX, START), inf)
        governor.end(BOX, START)
        self.assertEqual(governor.grant(BOX, 60, START + 60), 10)

    def test_the_same_limits_change_nothing(self) -> None:
        """A reload for another reason does not take a burst away."""
        governor = Governor(Limits())
        governor.grant(BOX, 1, START)
        governor.configure(Limits(), START + 600)
        self.assertEqual([governor.grant(BOX, 1, START + 600) for _ in range(3)], [1, 1, 1])
