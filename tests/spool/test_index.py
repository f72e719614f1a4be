"""From queue id to slot: the table finds what is in it and nothing else."""

from __future__ import annotations

from array import array

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.spool.index import EMPTY, IdIndex
from m365gw.spool.schedule import Schedule
from tests.spool.schedule_model import entry


class IndexTests(SynchronousTestCase):
    """The table against a dict."""

    @settings(deadline=None, max_examples=100)
    @given(
        st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=600),
        st.lists(st.booleans(), max_size=600),
    )
    def test_it_is_a_dict(self, ids: list[int], removed: list[bool]) -> None:
        """Whatever the ids, each is found at its slot until it is deleted."""
        column = array("Q", ids)
        index = IdIndex(column)
        for slot in range(len(ids)):
            self.assertEqual(index.find(ids[slot]), EMPTY)
            index.insert(slot)
        known = dict(zip(ids, range(len(ids)), strict=True))
        for queue_id, is_removed in zip(ids, removed, strict=False):
            if is_removed:
                index.delete(known.pop(queue_id))
        for queue_id in ids:
            self.assertEqual(index.find(queue_id), known.get(queue_id, EMPTY))


class ScheduleTests(SynchronousTestCase):
    """The table as the schedule uses it."""

    def setUp(self) -> None:
        self.schedule = Schedule()

    def test_many_messages_are_found_by_id(self) -> None:
        """The index holds through growth, removal and use of the same slots again."""
        ids = [(n * 977 << 13) | n % 3 for n in range(5000)]
        for queue_id in ids:
            self.schedule.add(entry(queue_id))
        for queue_id in ids[::2]:
            self.schedule.remove(queue_id)
        for queue_id in ids[::4]:
            self.schedule.add(entry(queue_id))
        gone = set(ids[::2]) - set(ids[::4])
        for queue_id in ids:
            self.assertEqual(queue_id in self.schedule, queue_id not in gone)
