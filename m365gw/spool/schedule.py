"""When each queued message is tried: due times, and turns inside each mailbox. Memory only.

Messages that are not due yet wait by the second they are due; when it comes they join the queue
of their source inside their mailbox, where `m365gw.spool.turns` says who is next. Ready messages
of different mailboxes do not see each other: the caller asks for one mailbox at a time, when that
mailbox may send. The schedule never opens a file and has no clock: every call is told the time.

Memory is bounded whatever the disk holds: about 40 octets a message and at most `capacity`
messages. Beyond that, those due last are forgotten, and `forgotten` counts them. They are safe on
disk, and looking through the spool again (each `queue_run_delay`) finds them when there is room.

Messages that are to be returned to their sender need no mailbox: whatever mailbox they were meant
for, they wait their turn as those of `RETURNS`.

A message that was taken is no longer known here: the caller keeps it from being added a second
time by a look through the spool while it is in hand.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from heapq import heappop, heappush

from m365gw.spool.index import IdIndex
from m365gw.spool.names import Entry
from m365gw.spool.slots import EMPTY, READY, Slots
from m365gw.spool.turns import Lane, Turns

RETURNS = -1  # stands for a mailbox: the messages that are to be returned
LOOKED_AT_ONCE = 5000  # slots in one part of `waiting`
RIPEN_AT_ONCE = 1000  # messages that become ready in one call at most: about a millisecond


class Schedule:
    """All messages of the spool that wait for an attempt."""

    def __init__(self, capacity: int = 5_000_000) -> None:
        self.capacity = capacity
        self.forgotten = 0  # messages not kept for want of room, ever
        self._known = 0
        self._newest = -1  # the greatest id ever added; ids rise with time
        self._slots = Slots()
        self._index = IdIndex(self._slots.id)
        self._lanes: list[Lane | None] = []
        self._free_lanes: list[int] = []
        self._mailboxes: dict[int, Turns] = {}
        self._ready: dict[int, None] = {}  # mailboxes with something ready, not paused
        self._paused: set[int] = set()
        self._waiting: dict[int, int] = {}  # second to the list of slots due then
        self._seconds: list[int] = []  # heap of the keys of _waiting
        self._reached = 0  # every message due by this second is ready

    def __len__(self) -> int:
        """Messages that are known and not taken."""
        return self._known

    def __contains__(self, queue_id: int) -> bool:
        return self._index.find(queue_id) != EMPTY

    def add(self, entry: Entry) -> bool:
        """Takes note of a message. False: there was no room, it must be found on disk later.

        One that is known already stays as it is: what a look through the spool read may be older
        than what is known here.
        """
        if self._index.find(entry.id) != EMPTY:
            return True
        if self._known >= self.capacity and not self._make_room(entry.due):
            self.forgotten += 1
            return False
        lane = self._lane(entry)
        slot = self._slots.store(entry, lane.number)
        self._index.insert(slot)
        self._known += 1
        self._newest = max(self._newest, entry.id)
        lane.held += 1
        lane.turns.held += 1
        if entry.due <= self._reached:
            self._enter(slot, lane)
        else:
            self._wait(slot)
        return True

    def take(self, mailbox: int, now: float) -> Entry | None:
        """The message of this mailbox whose turn it is, no longer known here afterwards.

        None: nothing is due, or the mailbox is paused.
        """
        self._ripen(now)
        if mailbox not in self._ready:
            return None
        lane, slot = self._mailboxes[mailbox].pick(self._slots)
        entry = self._slots.entry(slot, lane.mailbox, lane.source)
        self._drop(slot, lane)
        return entry

    def remove(self, queue_id: int) -> bool:
        """Forgets a message, wherever it waits. False: it is not known (perhaps taken)."""
        slot = self._index.find(queue_id)
        if slot == EMPTY:
            return False
        self._drop(slot, self._lane_of(slot))
        return True

    def come_back(self, mailbox: int) -> None:
        """Nothing stops this mailbox any longer: what waited for it goes before what is to come."""
        if mailbox in self._mailboxes:
            self._mailboxes[mailbox].come_back(self._slots, self._newest)

    def entry(self, queue_id: int) -> Entry | None:
        """What is known of a message that waits here; None when it does not."""
        slot = self._index.find(queue_id)
        if slot == EMPTY:
            return None
        lane = self._lane_of(slot)
        return self._slots.entry(slot, lane.mailbox, lane.source)

    def waiting(self, mailbox: int | None = None) -> Iterator[array[int]]:
        """Ids of all messages, or those of one mailbox, that are not due yet.

        In parts, each of which takes some milliseconds and has its oldest first. Between them
        anything may happen: what comes or goes meanwhile is in one of them or in none.
        """
        slots = self._slots
        for start in range(0, len(slots.id), LOOKED_AT_ONCE):
            found = []
            for slot in range(start, min(start + LOOKED_AT_ONCE, len(slots.id))):
                number = slots.id[slot]
                if slots.flags[slot] & READY or self._index.find(number) != slot:
                    continue  # due, or a slot that is free
                if mailbox is None or self._lane_of(slot).mailbox == mailbox:
                    found.append(number)
            yield array("Q", sorted(found))

    def pause(self, mailbox: int) -> None:
        """Nothing is taken from this mailbox until `resume`; its messages keep their places."""
        self._paused.add(mailbox)
        self._ready.pop(mailbox, None)

    def resume(self, mailbox: int) -> None:
        """Ends a pause; a mailbox that is not paused may be resumed."""
        self._paused.discard(mailbox)
        turns = self._mailboxes.get(mailbox)
        if turns is not None and turns.ready:
            self._ready[mailbox] = None

    def mailboxes_ready(self, now: float) -> tuple[int, ...]:
        """Mailboxes `take` would give a message of, longest ready first."""
        self._ripen(now)
        return tuple(self._ready)

    def next_due(self, now: float) -> float | None:
        """When the caller should ask again for messages that are not ready yet.

        Seconds since the epoch; `now` when more are due than one call makes ready; None when
        nothing waits for its time. Mailboxes that are ready by now do not count: when they may
        send is for their limits to say.
        """
        self._ripen(now)
        while self._seconds and self._waiting[self._seconds[0]] == EMPTY:
            del self._waiting[heappop(self._seconds)]
        return max(now, float(self._seconds[0])) if self._seconds else None

    def backlog(self, mailbox: int) -> int:
        """Messages of this mailbox, due or not."""
        turns = self._mailboxes.get(mailbox)
        return turns.held if turns is not None else 0

    def ready(self, mailbox: int) -> int:
        """Messages of this mailbox that are due, whether it is paused or not."""
        turns = self._mailboxes.get(mailbox)
        return turns.ready if turns is not None else 0

    def _lane(self, entry: Entry) -> Lane:
        """The lane of a source in a mailbox, made when it is the first message of either."""
        mailbox = RETURNS if entry.is_expired else entry.mailbox
        turns = self._mailboxes.get(mailbox)
        if turns is None:
            turns = self._mailboxes[mailbox] = Turns(mailbox)
        key = entry.mailbox, entry.source
        lane = turns.lanes.get(key)
        if lane is None:
            number = self._free_lanes.pop() if self._free_lanes else len(self._lanes)
            lane = turns.lanes[key] = Lane(turns, *key, number)
            if number == len(self._lanes):
                self._lanes.append(lane)
            else:
                self._lanes[number] = lane
        return lane

    def _drop(self, slot: int, lane: Lane) -> None:
        """Takes a slot out of whatever list it is in, and forgets what nothing is left of."""
        slots, turns = self._slots, lane.turns
        if slots.flags[slot] & READY:
            turns.leave(slots, lane, slot)
            if not turns.ready:
                self._ready.pop(turns.mailbox, None)
        else:
            due = slots.due[slot]
            self._waiting[due] = slots.detach(self._waiting[due], slot)
        self._index.delete(slot)
        slots.release(slot)
        self._known -= 1
        turns.held -= 1
        lane.held -= 1
        if not lane.held:
            del turns.lanes[lane.mailbox, lane.source]
            self._lanes[lane.number] = None
            self._free_lanes.append(lane.number)
            if not turns.held:
                del self._mailboxes[turns.mailbox]

    def _enter(self, slot: int, lane: Lane) -> None:
        turns = lane.turns
        self._slots.flags[slot] |= READY
        turns.enter(self._slots, lane, slot)
        if turns.ready == 1 and turns.mailbox not in self._paused:
            self._ready[turns.mailbox] = None

    def _wait(self, slot: int) -> None:
        due = self._slots.due[slot]  # not the entry's, which may be too large to be kept
        first = self._waiting.get(due)
        if first is None:
            heappush(self._seconds, due)
            first = EMPTY
        self._waiting[due] = self._slots.append(first, slot)

    def _ripen(self, now: float) -> None:
        """Makes ready what is due by now, `RIPEN_AT_ONCE` messages at most."""
        slots = self._slots
        room = RIPEN_AT_ONCE
        while self._seconds and self._seconds[0] <= now:
            second = self._seconds[0]
            while (slot := self._waiting[second]) != EMPTY:
                if not room:
                    return
                room -= 1
                self._waiting[second] = slots.detach(slot, slot)
                lane = self._lanes[slots.lane[slot]]
                assert lane is not None
                self._enter(slot, lane)
            del self._waiting[heappop(self._seconds)]
        self._reached = max(self._reached, int(now))

    def _make_room(self, due: int) -> bool:
        """Forgets some of the messages due last of all, if they are due later than `due`."""
        enough = self.capacity - self.capacity // 1000
        for latest in sorted(self._waiting, reverse=True):
            if latest <= due or self._known < enough:
                break
            for slot in self._slots.each(self._waiting[latest]):
                self._drop(slot, self._lane_of(slot))
                self.forgotten += 1
        return self._known < self.capacity

    def _lane_of(self, slot: int) -> Lane:
        lane = self._lanes[self._slots.lane[slot]]
        assert lane is not None  # a lane is there as long as a slot belongs to it
        return lane
