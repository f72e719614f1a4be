"""Tests for `m365gw.relay.stops.excuses`."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.relay.stops.excuses import BUDGET, SERVICE, Excuses
from m365gw.relay.stops.stops import Key

BOX: Key = ("mailbox", "relay@contoso.com")
TENANT: Key = ("tenant", "contoso")
SHORT: Key = (BUDGET, "relay@contoso.com")
OTHER: Key = ("mailbox", "alarm@contoso.com")
MINE = (BOX, TENANT, SHORT)
START = 1_800_000_000

HAPPENINGS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "end", "pass", "pass", "restart"]),
        st.sampled_from([BOX, TENANT, SHORT, OTHER]),
        st.integers(1, 50),
    ),
    max_size=40,
)


class ExcusesTests(SynchronousTestCase):
    """Against a count second by second."""

    @settings(deadline=None, max_examples=150)
    @given(HAPPENINGS, st.integers(0, 200))
    def test_every_second_counts_once_and_only_if_something_stood_in_the_way(
        self, happenings: list[tuple[str, Key, int]], arrived: int
    ) -> None:
        """Whatever begins, ends and restarts: excused are exactly the seconds in which one of a
        message's own keys stopped mail, or there was no service."""
        excuses, now = Excuses(), START
        stopped: set[Key] = set()
        excused: set[int] = set()
        for what, key, seconds in happenings:
            if what == "begin":
                excuses.begin(key, now)
                stopped.add(key)
            elif what == "end":
                excuses.end(key, now)
                stopped.discard(key)
            elif what == "pass":
                if stopped & set(MINE):
                    excused |= set(range(now, now + seconds))
                now += seconds
            else:
                kept = json.loads(json.dumps(excuses.state(now)))
                excused |= set(range(now, now + seconds))
                now += seconds
                excuses = Excuses()
                excuses.restore(kept, now)
                stopped.clear()  # whoever stopped mail says so again
        since = min(START + arrived, now)
        expected = len([second for second in excused if since <= second < now])
        self.assertEqual(excuses.within(MINE, since, now), expected)
        self.assertLessEqual(excuses.within(MINE, since, now), now - since)

    def test_others_are_not_excused(self) -> None:
        """What stops another mailbox, or has ended long ago, excuses nothing here."""
        excuses = Excuses()
        excuses.begin(OTHER, START)
        excuses.add(BOX, START - 100, START)
        self.assertEqual(excuses.within(MINE, START, START + 50), 0)
        self.assertEqual(excuses.within((OTHER,), START, START + 50), 50)

    def test_old_ones_are_forgotten(self) -> None:
        """A month later nothing is kept."""
        excuses = Excuses()
        excuses.add(BOX, START, START + 100)
        excuses.add(SERVICE, START, START + 100)
        excuses.forget(START + 40 * 86400.0)
        self.assertEqual(excuses.state(START)["past"], [])
