"""From queue id to slot: is this message known to the schedule, and where?

A hash table in two arrays, about six octets a message where a dict of numbers takes a hundred.
It grows by linear hashing (Litwin 1980): each few additions split one bucket, so that no addition
ever pays for rehashing them all.
"""

from __future__ import annotations

from array import array

EMPTY = -1

_FIRST_BUCKETS = 64
_MESSAGES_A_BUCKET = 2
_GOLDEN = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio: spreads ids that differ little
_WORD = 0xFFFFFFFFFFFFFFFF


class IdIndex:
    """Finds slots by the ids in the column `ids`. Each id may be in it once."""

    def __init__(self, ids: array[int]) -> None:
        self._ids = ids
        self._first = array("i", [EMPTY]) * _FIRST_BUCKETS  # first slot of each bucket
        self._next = array("i")  # slot to the next slot of the same bucket
        self._round = _FIRST_BUCKETS  # buckets there were when this round of splits began
        self._split = 0  # the bucket to be split next
        self._room = _FIRST_BUCKETS * _MESSAGES_A_BUCKET  # additions before the next split

    def _bucket(self, queue_id: int) -> int:
        spread = (queue_id * _GOLDEN & _WORD) >> 32
        bucket = spread & (self._round - 1)
        if bucket < self._split:
            bucket = spread & (2 * self._round - 1)
        return bucket

    def find(self, queue_id: int) -> int:
        """The slot of this id, or `EMPTY`."""
        ids, following = self._ids, self._next
        slot = self._first[self._bucket(queue_id)]
        while slot != EMPTY and ids[slot] != queue_id:
            slot = following[slot]
        return slot

    def insert(self, slot: int) -> None:
        """Makes a slot known by the id that is in the column; the id must not be known yet."""
        if slot == len(self._next):
            self._next.append(EMPTY)
        bucket = self._bucket(self._ids[slot])
        self._next[slot] = self._first[bucket]
        self._first[bucket] = slot
        self._room -= 1
        if self._room < 0:
            self._split_one()

    def delete(self, slot: int) -> None:
        """Forgets a slot that is known."""
        bucket = self._bucket(self._ids[slot])
        following = self._next
        here = self._first[bucket]
        if here == slot:
            self._first[bucket] = following[slot]
        else:
            while following[here] != slot:
                here = following[here]
            following[here] = following[slot]
        self._room += 1

    def _split_one(self) -> None:
        """Shares one bucket's slots between itself and one new bucket."""
        slot = self._first[self._split]
        self._first[self._split] = EMPTY
        self._first.append(EMPTY)
        self._split += 1
        if self._split == self._round:
            self._round *= 2
            self._split = 0
        self._room += _MESSAGES_A_BUCKET
        while slot != EMPTY:
            following = self._next[slot]
            bucket = self._bucket(self._ids[slot])
            self._next[slot] = self._first[bucket]
            self._first[bucket] = slot
            slot = following
