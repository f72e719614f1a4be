"""Who is next inside one mailbox: its sources take turns, and new mail goes before retries.

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
* Within a source, new mail keeps its order, and so do retries.
"""

from __future__ import annotations

from collections import OrderedDict

from attrs import define, field

from m365gw.spool.slots import EMPTY, Slots

NEW_BEFORE_RETRY = 3


@define(eq=False)
class Lane:
    """What one source has queued for one mailbox."""

    turns: Turns
    source: int
    number: int  # its place in the list of all lanes; slots know their lane by it
    held: int = 0  # messages that belong to it, due or not
    new: int = EMPTY  # list of slots that are ready and were never tried
    retries: int = EMPTY  # list of slots that are ready and were tried before
    streak: int = 0  # new messages taken since the last retry, while there were retries

    @property
    def has_ready(self) -> bool:
        return self.new != EMPTY or self.retries != EMPTY

    def pick(self) -> int:
        """The slot whose turn it is; it stays in its list. The lane must have something ready."""
        if self.retries == EMPTY:
            self.streak = 0
            return self.new
        if self.new == EMPTY or self.streak == NEW_BEFORE_RETRY:
            self.streak = 0
            return self.retries
        self.streak += 1
        return self.new


@define(eq=False)
class Turns:
    """The lanes of one mailbox, in the order in which they take turns."""

    mailbox: int
    lanes: dict[int, Lane] = field(factory=dict)  # by source, all that hold a message
    ring: OrderedDict[Lane, None] = field(factory=OrderedDict)  # lanes with something ready
    held: int = 0  # messages that belong to the mailbox, due or not
    ready: int = 0  # messages that are due

    def enter(self, slots: Slots, lane: Lane, slot: int) -> None:
        """A slot's time has come: it goes behind the others of its lane."""
        if slots.attempts[slot]:
            lane.retries = slots.append(lane.retries, slot)
        else:
            lane.new = slots.append(lane.new, slot)
        self.ready += 1
        if lane not in self.ring:
            self.ring[lane] = None

    def leave(self, slots: Slots, lane: Lane, slot: int) -> None:
        """A slot that is ready goes, from wherever it stands."""
        if slots.attempts[slot]:
            lane.retries = slots.detach(lane.retries, slot)
        else:
            lane.new = slots.detach(lane.new, slot)
        self.ready -= 1
        if not lane.has_ready:
            del self.ring[lane]

    def pick(self) -> tuple[Lane, int]:
        """The lane and slot whose turn it is; the lane goes to the end of the ring."""
        lane = next(iter(self.ring))
        self.ring.move_to_end(lane)
        return lane, lane.pick()
