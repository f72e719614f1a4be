"""Messages are found on disk, and many of them without a look for each portion."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from m365gw.relay.queue import search
from m365gw.relay.queue.search import KEPT, Search
from m365gw.spool.names import Entry
from tests.spool.mail import new_spool, put


class AtOnce:
    """A thread that runs at once."""

    async def call(self, function: Any, *arguments: Any) -> Any:
        return function(*arguments)


class SearchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(search, "PORTION", 2)
        self.patch(search, "NOTED", 3)
        self.spool = new_spool(self.mktemp())
        self.addCleanup(self.spool.close)
        self.clock = Clock()
        self.search = Search(spool=self.spool, disk=AtOnce(), clock=self.clock)
        self.looks = 0
        find_all = self.spool.find_all

        def counted(numbers: Collection[int]) -> dict[int, Entry]:
            self.looks += 1
            return find_all(numbers)

        self.patch(self.spool, "find_all", counted)

    def held(self, count: int) -> list[Entry]:
        return [self.spool.hold(self.spool.claim(put(self.spool)), "") for _ in range(count)]

    def find(self, *entries: Entry) -> None:
        """Each of them is found, where it is."""
        finding = self.search.find([entry.queue_id for entry in entries])
        found = self.successResultOf(Deferred.fromCoroutine(finding))
        self.assertEqual(found, {entry.queue_id: entry for entry in entries})

    def test_the_next_portions_need_no_look(self) -> None:
        """As many as are noted; then there is another look."""
        entries = self.held(7)
        self.find(*entries[:2])
        self.find(*entries[2:4])
        self.assertEqual(self.looks, 1)
        self.find(*entries[4:6])
        self.assertEqual(self.looks, 2)
        self.find(entries[6])
        self.assertEqual(self.looks, 2)

    def test_single_messages_note_nothing(self) -> None:
        """Nothing says that more will be asked for."""
        entries = self.held(3)
        for entry in entries:
            self.find(entry)
        self.assertEqual(self.looks, 3)

    def test_notes_are_not_kept(self) -> None:
        """They take room, and grow old."""
        entries = self.held(4)
        self.find(*entries[:2])
        self.clock.advance(KEPT)
        self.find(*entries[2:])
        self.assertEqual(self.looks, 2)

    def test_what_moved_is_looked_for_when_asked_once_more(self) -> None:
        """Who did not find it there asks again, and is told where it is."""
        entries = self.held(3)
        self.find(*entries[:2])
        self.find(entries[2])
        self.assertEqual(self.looks, 1)
        moved = self.spool.move(entries[2], evolve(entries[2], due=77))
        self.find(moved)

    def test_what_is_nowhere(self) -> None:
        """It is left out, as is what is no id."""
        finding = self.search.find(["0" * 13, "../x", ""])
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(finding)), {})
