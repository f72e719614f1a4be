"""Turns inside a mailbox: the bounds that `m365gw.spool.turns` states."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.spool.schedule import Schedule
from tests.spool.schedule_model import RELAY, START, drain, entry


class TurnsTests(SynchronousTestCase):
    """Single cases by name."""

    def setUp(self) -> None:
        self.schedule = Schedule()

    def test_a_noisy_source_cannot_starve_another(self) -> None:
        """The fax machine's single message goes second, behind one of ten thousand."""
        for number in range(10_000):
            self.schedule.add(entry(number, source=1))
        self.schedule.add(entry(10_000, source=2))
        self.schedule.take(RELAY, START)
        taken = self.schedule.take(RELAY, START)
        assert taken is not None
        self.assertEqual(taken.source, 2)

    def test_three_new_messages_go_for_each_retry(self) -> None:
        """Within a source with both, the pattern is three new, one retry."""
        for number in range(8):
            self.schedule.add(entry(number))
            self.schedule.add(entry(100 + number, due=START, attempts=2))
        taken = drain(self.schedule, RELAY, START)
        pattern = "".join("r" if e.attempts else "n" for e in taken)
        self.assertEqual(pattern, "nnnrnnnrnn" + "rrrrrr")

    def test_mail_told_to_wait_but_never_tried_is_new(self) -> None:
        """Waiting for a mailbox to be mended does not make a message a retry."""
        waited = entry(1, due=START)
        self.schedule.add(entry(2, due=START, attempts=1))
        self.schedule.add(waited)
        self.assertEqual(self.schedule.take(RELAY, START), waited)

    def test_mail_told_to_wait_keeps_its_place(self) -> None:
        """The oldest message tries whether a mailbox is mended; it stays the oldest."""
        for number in (1, 2, 3):
            self.schedule.add(entry(number))
        first = self.schedule.take(RELAY, START)
        assert first is not None
        self.schedule.add(entry(first.id, due=START))
        self.assertEqual([one.id for one in drain(self.schedule, RELAY, START)], [1, 2, 3])

    def test_a_mailbox_that_comes_back(self) -> None:
        """What waited goes oldest first and takes turns with what comes later, one and one."""
        for number in range(1, 6):
            self.schedule.add(entry(number))
        self.schedule.come_back(RELAY)
        for number in range(11, 14):
            self.schedule.add(entry(number))
        taken = [one.id for one in drain(self.schedule, RELAY, START)]
        self.assertEqual(taken, [11, 1, 12, 2, 13, 3, 4, 5])

    def test_retries_that_were_due_go_first_when_a_mailbox_comes_back(self) -> None:
        """They are the oldest; behind them comes what was never tried."""
        for number in (1, 2):
            self.schedule.add(entry(number, due=START, attempts=1))
        for number in (3, 4):
            self.schedule.add(entry(number))
        self.schedule.mailboxes_ready(START)
        self.schedule.come_back(RELAY)
        taken = [one.id for one in drain(self.schedule, RELAY, START)]
        self.assertEqual(taken, [1, 2, 3, 4])


class FairnessTests(SynchronousTestCase):
    """Over any backlogs and arrivals."""

    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(st.integers(1, 25), min_size=2, max_size=6),
        st.lists(st.integers(1, 6), max_size=60),
    )
    def test_each_other_source_gives_one_message_between_two_of_mine(
        self, backlogs: list[int], arrivals: list[int]
    ) -> None:
        """Between two messages of a backlogged source no other source gives more than one."""
        schedule = Schedule()
        numbers = iter(range(10_000))
        for source, backlog in enumerate(backlogs):
            for _ in range(backlog):
                schedule.add(entry(next(numbers), source=source))
        order: list[int] = []
        more = iter(arrivals)
        while (one := schedule.take(RELAY, START)) is not None:
            order.append(one.source)
            if (source := next(more, None)) is not None:
                schedule.add(entry(next(numbers), source=source))
        for source, backlog in enumerate(backlogs):
            places = [n for n, taken in enumerate(order) if taken == source][:backlog]
            for earlier, later in zip([-1, *places[:-1]], places, strict=True):
                between = Counter(order[earlier + 1 : later])
                self.assertTrue(all(count == 1 for count in between.values()), order)

    @settings(deadline=None, max_examples=60)
    @given(st.lists(st.booleans(), min_size=1, max_size=80))
    def test_neither_new_mail_nor_retries_wait_longer_than_promised(
        self, tried: list[bool]
    ) -> None:
        """While a source has both, at most three new go in a row and at most one retry."""
        schedule = Schedule()
        for number, retry in enumerate(tried):
            schedule.add(entry(number, due=START * retry, attempts=int(retry)))
        left = Counter(tried)
        row: list[bool] = []
        for one in drain(schedule, RELAY, START):
            retry = bool(one.attempts)
            if left[True] and left[False]:
                row.append(retry)
            left[retry] -= 1
        runs = "".join("r" if retry else "n" for retry in row)
        self.assertNotIn("nnnn", runs)
        self.assertNotIn("rr", runs)
