"""The schedule said naively, to hold the real one against, and entries to fill both with."""

from __future__ import annotations

from collections import Counter

from attrs import define, field

from m365gw.spool.names import Entry, State
from m365gw.spool.schedule import Schedule

START = 1_700_000_000
RELAY, OTHER = 0xAAAA0001, 0xBBBB0002


def entry(
    number: int,
    *,
    due: int = 0,
    attempts: int = 0,
    mailbox: int = RELAY,
    source: int = 1,
    size: int = 1000,
) -> Entry:
    """An entry; one that was tried or must wait is in deferred/."""
    state = State.DEFERRED if due or attempts else State.INCOMING
    return Entry(number, state, size, due, attempts, mailbox, source)


def drain(schedule: Schedule, mailbox: int, now: float) -> list[Entry]:
    """All that can be taken from a mailbox now, in order."""
    taken: list[Entry] = []
    while (one := schedule.take(mailbox, now)) is not None:
        taken.append(one)
    return taken


@define
class Model:
    """The schedule said naively: lists, looked through from the start each time."""

    waiting: list[Entry] = field(factory=list)  # in the order of arrival
    ready: list[Entry] = field(factory=list)  # in the order in which they became due
    ring: dict[int, list[int]] = field(factory=dict)  # mailbox to sources, next one first
    streak: Counter[tuple[int, int]] = field(factory=Counter)
    paused: set[int] = field(factory=set)
    back_since: dict[int, int] = field(factory=dict)  # by mailbox that has mail
    newest: int = -1
    reached: int = 0

    def known(self) -> dict[int, Entry]:
        return {one.id: one for one in self.waiting + self.ready}

    def make_ready(self, one: Entry) -> None:
        mine = [each for each in self.ready if each.mailbox == one.mailbox]
        mine = [each for each in mine if each.source == one.source]
        first = next((e for e in mine if self.has_waited(e) == self.has_waited(one)), None)
        if first is not None and not one.attempts and one.id < first.id:
            self.ready.insert(self.ready.index(first), one)
        else:
            self.ready.append(one)
        ring = self.ring.setdefault(one.mailbox, [])
        if one.source not in ring:
            ring.append(one.source)

    def has_waited(self, one: Entry) -> bool:
        return one.attempts > 0 or one.id <= self.back_since.get(one.mailbox, -1)

    def come_back(self, mailbox: int) -> None:
        mine = [one for one in self.ready if one.mailbox == mailbox]
        new = [one for one in mine if not self.has_waited(one)]
        self.ready = [one for one in self.ready if one not in new] + new
        if any(one.mailbox == mailbox for one in self.known().values()):
            self.back_since[mailbox] = self.newest

    def add(self, one: Entry) -> None:
        if one.id in self.known():
            return
        self.newest = max(self.newest, one.id)
        if one.due <= self.reached:
            self.make_ready(one)
        else:
            self.waiting.append(one)

    def advance(self, now: int) -> None:
        due = [one for one in self.waiting if one.due <= now]
        self.waiting = [one for one in self.waiting if one.due > now]
        for one in sorted(due, key=lambda one: one.due):
            self.make_ready(one)
        self.reached = max(self.reached, now)

    def forget(self, one: Entry) -> None:
        if one in self.waiting:
            self.waiting.remove(one)
        else:
            self.ready.remove(one)
            self.forget_turn(one)
        if not any(each.mailbox == one.mailbox for each in self.known().values()):
            self.back_since.pop(one.mailbox, None)

    def forget_turn(self, one: Entry) -> None:
        if not any((r.mailbox, r.source) == (one.mailbox, one.source) for r in self.ready):
            self.ring[one.mailbox].remove(one.source)
            if not any(r.source == one.source and r.mailbox == one.mailbox for r in self.waiting):
                del self.streak[one.mailbox, one.source]

    def take(self, mailbox: int) -> Entry | None:
        ring = self.ring.get(mailbox)
        if mailbox in self.paused or not ring:
            return None
        source = ring.pop(0)
        ring.append(source)
        mine = [one for one in self.ready if (one.mailbox, one.source) == (mailbox, source)]
        new = [one for one in mine if not self.has_waited(one)]
        waited = [one for one in mine if self.has_waited(one)]
        key = mailbox, source
        if new and waited:
            give_waited = self.streak[key] >= (3 if waited[0].attempts else 1)
            self.streak[key] = 0 if give_waited else self.streak[key] + 1
        else:
            give_waited = not new
            self.streak[key] = 0
        chosen = waited[0] if give_waited else new[0]
        self.forget(chosen)
        return chosen
