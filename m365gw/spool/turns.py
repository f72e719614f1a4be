"""Who is next inside one mailbox: its sources take turns, and new mail goes before what waited.

A source is a login, or a client address without one. Each source has a queue of its own for each
mailbox, a *lane*, so that one noisy application cannot starve a fax machine. This is deficit round
robin with a quantum of one message: every message counts the same, so nobody saves up credit and
the deficit is always nought.

What is promised, exactly, of messages that are ready:

* Between two messages of a source that stays backlogged, each other source gives at most one.
  So of two sources backlogged all the time, neither is ever ahead by more than one message, and
  a source that has something ready waits for at most one message of each other source.
* Within a source, three new messages go for each retry while it has both. So a retry at the head
  waits for at most three new messages of its source, a new message for at most one retry.
* What was not tried yet when the mailbox came back from a stop takes turns with mail that arrives
  later, one and one, behind the retries that were due: oldest first, with half for new mail.
* Within a source, new mail keeps its order, and so does what waited. A message that was taken and
  told to wait goes back to the front.
"""

from __future__ import annotations

from collections import OrderedDict

from attrs import define, field

from m365gw.spool.slots import EMPTY, Slots

NEW_BEFORE_RETRY = 3
NEW_BEFORE_UNTRIED = 1  # of those that waited while the mailbox was stopped


@define(eq=False)
class Lane:
    """What one source has queued for one mailbox."""

    turns: Turns
    mailbox: int
    source: int
    number: int  # its place in the list of all lanes; slots know their lane by it
    held: int = 0  # messages that belong to it, due or not
    new: int = EMPTY  # list of slots that are ready and were never tried
    waited: int = EMPTY  # list of slots that are ready: tried before, or stopped for a while
    streak: int = 0  # new messages taken since the last that waited, while there were some

    @property
    def has_ready(self) -> bool:
        """Whether a message of this lane could go now."""
        return self.new != EMPTY or self.waited != EMPTY

    def pick(self, slots: Slots) -> int:
        """The slot whose turn it is; it stays in its list. The lane must have something ready."""
        if self.waited == EMPTY:
            self.streak = 0
            return self.new
        most = NEW_BEFORE_RETRY if slots.attempts[self.waited] else NEW_BEFORE_UNTRIED
        if self.new == EMPTY or self.streak >= most:
            self.streak = 0
            return self.waited
        self.streak += 1
        return self.new


@define(eq=False)
class Turns:
    """The lanes of one mailbox, in the order in which they take turns."""

    mailbox: int  # its tag, or `schedule.RETURNS`
    # By mailbox and source, all that hold a message
    lanes: dict[tuple[int, int], Lane] = field(factory=dict)
    ring: OrderedDict[Lane, None] = field(factory=OrderedDict)  # lanes with something ready
    held: int = 0  # messages that belong to the mailbox, due or not
    ready: int = 0  # messages that are due
    back_since: int = -1  # the newest message there was when the mailbox came back

    def enter(self, slots: Slots, lane: Lane, slot: int) -> None:
        """A slot's time has come: it goes behind the others of its lane.

        One that is older than all of them was told to wait, and goes back to the front.
        """
        if self._has_waited(slots, slot):
            lane.waited = _in_order(slots, lane.waited, slot)
        else:
            lane.new = _in_order(slots, lane.new, slot)
        self.ready += 1
        if lane not in self.ring:
            self.ring[lane] = None

    def leave(self, slots: Slots, lane: Lane, slot: int) -> None:
        """A slot that is ready goes, from wherever it stands."""
        if self._has_waited(slots, slot):
            lane.waited = slots.detach(lane.waited, slot)
        else:
            lane.new = slots.detach(lane.new, slot)
        self.ready -= 1
        if not lane.has_ready:
            del self.ring[lane]

    def pick(self, slots: Slots) -> tuple[Lane, int]:
        """The lane and slot whose turn it is; the lane goes to the end of the ring."""
        lane = next(iter(self.ring))
        self.ring.move_to_end(lane)
        return lane, lane.pick(slots)

    def come_back(self, slots: Slots, newest: int) -> None:
        """The mailbox was stopped and is no longer: all up to the `newest` message has waited."""
        self.back_since = newest
        for lane in self.ring:
            lane.waited, lane.new = slots.join(lane.waited, lane.new), EMPTY

    def _has_waited(self, slots: Slots, slot: int) -> bool:
        return slots.attempts[slot] > 0 or slots.id[slot] <= self.back_since


def _in_order(slots: Slots, first: int, slot: int) -> int:
    """Puts a slot at the tail of a list, or at its head if it was never tried and is older."""
    is_oldest = first != EMPTY and not slots.attempts[slot] and slots.id[slot] < slots.id[first]
    first = slots.append(first, slot)
    return slot if is_oldest else first  # a list is circular: its tail is before its head
