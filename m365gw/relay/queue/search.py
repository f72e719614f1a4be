"""Where messages rest that the schedule does not know: mostly those that are held.

Only a look through the names of the files tells, and that takes seconds when very many are held.
Who acts on many asks for them in portions, the oldest first; so a look for a portion also notes
those that come next, and most portions need no look of their own.

What was noted is where a message was: whoever acts on it there finds out whether it still is
(`Gone`), and asks once more. Failures: `SpoolError` when the names cannot be read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from heapq import nsmallest

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from m365gw.relay.threads import Calls
from m365gw.spool.names import Entry, State
from m365gw.spool.operations import numbers_of
from m365gw.spool.spool import Spool

PORTION = 100  # messages that are looked for together, so that more can be expected
NOTED = 50_000  # entries kept of one look: some 20 MB
KEPT = 60.0  # seconds


@define(kw_only=True)
class Search:
    """Finds messages on disk by their queue ids."""

    spool: Spool
    disk: Calls
    clock: IReactorTime
    _noted: dict[int, Entry] = field(factory=dict)

    async def find(self, queue_ids: Sequence[str]) -> dict[str, Entry]:
        """The entries of these ids; what is no id, or nowhere, is left out."""
        numbers = numbers_of(queue_ids)
        found = {each: self._noted.pop(each) for each in numbers if each in self._noted}
        missing = numbers.keys() - found.keys()
        if missing:
            most = NOTED if len(numbers) >= PORTION else 0
            more, noted = await self.disk.call(self._look, missing, most)
            found |= more
            self._note(noted)
        return {numbers[number]: entry for number, entry in found.items()}

    def _look(
        self, missing: Collection[int], most: int
    ) -> tuple[dict[int, Entry], dict[int, Entry]]:
        """BLOCKING. The messages looked for, and at most so many held ones that come after them."""
        found = self.spool.find_all(missing)
        if not most:
            return found, {}
        last = max(missing)
        newer = (entry for entry in self.spool.entries(State.HOLD) if entry.id > last)
        noted = nsmallest(most, newer, key=lambda entry: entry.id)
        return found, {entry.id: entry for entry in noted}

    def _note(self, noted: dict[int, Entry]) -> None:
        self._noted = noted
        if noted:
            self.clock.callLater(KEPT, noted.clear)
