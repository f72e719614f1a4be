"""Queued messages as columns of numbers: what the schedule keeps of each message in memory.

A message is a slot: one place in every column. A slot is in at most one list, and lists are
circular and linked through two of the columns, so that joining the tail and leaving from anywhere
take the same short time however long the list is. A list is known by its first slot; `EMPTY` is
the list without any.

Nothing fails here: what a file name of ours can say, a slot can hold.
"""

from __future__ import annotations

from array import array

from m365gw.spool.names import Entry, State

EMPTY = -1

DEFERRED = 1  # flag: the file is in deferred/, not in incoming/
READY = 2  # flag: due has come, and the slot is in the queue of its source
ODD = 4  # flag: a number of the entry is too large for its column
EXPIRED = 8  # flag: to be returned to its sender

_FOUR_OCTETS = 1 << 32
_TWO_OCTETS = 1 << 16


class Slots:
    """The columns, about 31 octets a message, and the list of slots that are free.

    They grow with the longest queue seen and are used again, never given back.
    """

    def __init__(self) -> None:
        self.id = array("Q")
        self.due = array("I")  # seconds since the epoch
        self.size = array("I")  # octets
        self.attempts = array("H")
        self.flags = array("B")
        self.lane = array("I")  # number of the queue (mailbox and source) it belongs to
        self._after = array("i")
        self._before = array("i")
        self._free = EMPTY
        self._odd: dict[int, Entry] = {}  # slot to entry, where the columns are too narrow

    def store(self, entry: Entry, lane: int) -> int:
        """A slot that holds `entry`, in no list yet. ValueError for mail that is not to be sent."""
        flags = _flags(entry)
        slot = self._free
        if slot == EMPTY:
            slot = self._grow()
        else:
            self._free = self._after[slot]
        self.id[slot] = entry.id
        self.flags[slot] = flags
        self.lane[slot] = lane
        if flags & ODD:
            self._odd[slot] = entry
            self.due[slot] = min(entry.due, _FOUR_OCTETS - 1)
            self.attempts[slot] = min(entry.attempts, _TWO_OCTETS - 1)
            return slot
        self.due[slot] = entry.due
        self.size[slot] = entry.size
        self.attempts[slot] = entry.attempts
        return slot

    def _grow(self) -> int:
        slot = len(self.flags)
        for column in (self.id, self.due, self.size, self.attempts, self.flags, self.lane):
            column.append(0)
        self._after.append(EMPTY)
        self._before.append(EMPTY)
        return slot

    def entry(self, slot: int, mailbox: int, source: int) -> Entry:
        """The entry the slot was made from."""
        flags = self.flags[slot]
        if flags & ODD:
            return self._odd[slot]
        return Entry(
            self.id[slot],
            State.DEFERRED if flags & DEFERRED else State.INCOMING,
            self.size[slot],
            self.due[slot],
            self.attempts[slot],
            mailbox,
            source,
            bool(flags & EXPIRED),
        )

    def release(self, slot: int) -> None:
        """Gives back a slot that is in no list."""
        if self.flags[slot] & ODD:
            del self._odd[slot]
        self._after[slot] = self._free
        self._free = slot

    def append(self, first: int, slot: int) -> int:
        """Puts a slot at the tail of a list; gives the list."""
        after, before = self._after, self._before
        if first == EMPTY:
            after[slot] = before[slot] = slot
            return slot
        last = before[first]
        after[last] = before[first] = slot
        after[slot] = first
        before[slot] = last
        return first

    def detach(self, first: int, slot: int) -> int:
        """Takes a slot out of a list; gives what is left of the list."""
        after, before = self._after, self._before
        following = after[slot]
        if following == slot:
            return EMPTY
        preceding = before[slot]
        after[preceding] = following
        before[following] = preceding
        return following if first == slot else first

    def join(self, first: int, other: int) -> int:
        """Puts a whole list behind another; gives the list."""
        if first == EMPTY or other == EMPTY:
            return other if first == EMPTY else first
        after, before = self._after, self._before
        last, end = before[first], before[other]
        after[last], before[other] = other, last
        after[end], before[first] = first, end
        return first

    def each(self, first: int) -> list[int]:
        """The slots of a list, in order."""
        found: list[int] = []
        slot = first
        while slot != EMPTY:
            found.append(slot)
            slot = self._after[slot]
            if slot == first:
                break
        return found


def _flags(entry: Entry) -> int:
    if entry.state is State.INCOMING:
        flags = 0
    elif entry.state is State.DEFERRED:
        flags = DEFERRED
    else:
        raise ValueError(f"{entry.queue_id} is in {entry.state.value} and not to be sent")
    if entry.is_expired:
        flags |= EXPIRED
    if entry.due >= _FOUR_OCTETS or entry.size >= _FOUR_OCTETS or entry.attempts >= _TWO_OCTETS:
        flags |= ODD
    return flags
