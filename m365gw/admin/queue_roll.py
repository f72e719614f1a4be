"""All messages of the queue at one moment, by their names alone: for counts, sorting and paging.

A roll is read in a thread, from a spool opened for looking, and holds some 40 octets a message.
Reading 100,000 names takes one or two seconds of a processor, so who asks gets the last roll while
the next one is read, and the next one is begun only when `REST` times that long has passed. With
few messages that means: always the newest.

Failures: a spool that cannot be read leaves the last roll as it is, with `fault` saying why.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from math import inf
from typing import Final

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from m365gw.relay.threads import Calls
from m365gw.spool.browse import Wanted
from m365gw.spool.health import SpoolError, Unusable
from m365gw.spool.names import Entry, State, arrived_at, tag
from m365gw.spool.spool import Spool

REST: Final = 40  # a roll is not read anew for so many times as long as reading it took
NEWEST: Final = 0.25  # seconds a roll is as good as new, however fast it was read
PATIENCE: Final = 0.25  # seconds a page waits for the next roll when there is one it can show
MOST: Final = 2_000_000  # messages of a roll; what is beyond is counted nowhere

_STATES = tuple(State)
_GOING = (State.INCOMING, State.DEFERRED)


class Roll:
    """The messages that were in the spool at `at` (seconds since 1970). BLOCKING to make.

    `counts`: how many of each state; `octets`: of all together; `firsts`: when the oldest of each
    state arrived, where there is one; `oldest`: when the one that waits longest arrived, held and
    damaged ones left out, or None; `by_mailbox`: how many of each, by its tag.
    """

    def __init__(self, entries: Iterable[Entry] = (), at: float = 0.0) -> None:
        self.at = at
        self._ids, self._sizes = array("Q"), array("Q")
        self._dues, self._attempts = array("Q"), array("Q")
        self._mailboxes, self._sources = array("I"), array("I")
        self._states = bytearray()
        self._expired: set[int] = set()
        for entry in entries:
            if len(self._ids) == MOST:
                break
            if entry.is_expired:
                self._expired.add(len(self._ids))
            self._ids.append(entry.id)
            self._sizes.append(entry.size)
            self._dues.append(entry.due)
            self._attempts.append(entry.attempts)
            self._mailboxes.append(entry.mailbox)
            self._sources.append(entry.source)
            self._states.append(_STATES.index(entry.state))
        self.counts = {state: self._states.count(place) for place, state in enumerate(_STATES)}
        self.octets = sum(self._sizes)
        self.by_mailbox = Counter(self._mailboxes)
        first: dict[int, int] = {}
        for number, place in zip(self._ids, self._states, strict=True):
            if number < first.get(place, number + 1):
                first[place] = number
        self.firsts = {_STATES[place]: arrived_at(number) for place, number in first.items()}
        going = [at for state, at in self.firsts.items() if state in _GOING]
        self.oldest = min(going, default=None)
        self._sorts: dict[str, Callable[[int], int]] = {
            "arrival": self._ids.__getitem__,
            "size": self._sizes.__getitem__,
            "attempts": self._attempts.__getitem__,
            "next": self._dues.__getitem__,
        }

    def __len__(self) -> int:
        return len(self._ids)

    def entry(self, place: int) -> Entry:
        """The entry at one place."""
        return Entry(
            self._ids[place],
            _STATES[self._states[place]],
            self._sizes[place],
            self._dues[place],
            self._attempts[place],
            self._mailboxes[place],
            self._sources[place],
            place in self._expired,
        )

    def order(self, wishes: Wanted, sort: str, *, is_descending: bool) -> Sequence[int]:
        """BLOCKING. The places of the messages whose names do not rule them out, sorted.

        `sort` is arrival, next, size or attempts; what is equal is in order of arrival.
        """
        states = {_STATES.index(state) for state in wishes.states or _STATES}
        places = [place for place, state in enumerate(self._states) if state in states]
        if wishes.mailbox:
            mailbox = tag(wishes.mailbox)
            places = [place for place in places if self._mailboxes[place] == mailbox]
        if wishes.numbers is not None:
            places = [place for place in places if self._ids[place] in wishes.numbers]
        if wishes.after or wishes.before != inf:
            times = (wishes.after, wishes.before)
            places = [p for p in places if times[0] <= arrived_at(self._ids[p]) <= times[1]]
        places.sort(key=self._ids.__getitem__, reverse=is_descending)
        if sort in self._sorts and sort != "arrival":
            places.sort(key=self._sorts[sort], reverse=is_descending)
        return places


@define(kw_only=True)
class Rolls:
    """The newest roll there is. `open_spool` opens the spool for looking; it may block."""

    open_spool: Callable[[], Spool]
    calls: Calls
    clock: IReactorTime
    fault: str = ""  # why the last look failed, "" when it did not
    roll: Roll | None = None
    _took: float = 0.0
    _is_reading: bool = False
    _waiting: list[Deferred[None]] = field(factory=list)

    async def latest(self, *, patience: float = PATIENCE) -> Roll | None:
        """The newest roll, after `patience` seconds at the most; None: the first is being read."""
        if not self._is_reading and self._is_old():
            self._is_reading = True
            Deferred.fromCoroutine(self._read())
        if self._is_reading:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            late = self.clock.callLater(patience, self._give_up, waiting)
            await waiting
            if late.active():
                late.cancel()
        return self.roll

    def outdate(self) -> None:
        """Something was changed: what was read before is old, unless reading takes long."""
        if self.roll is not None and self._took < PATIENCE:
            self.roll.at = 0.0

    def _is_old(self) -> bool:
        if self.roll is None:
            return True
        return self.clock.seconds() - self.roll.at >= max(NEWEST, REST * self._took)

    def _give_up(self, waiting: Deferred[None]) -> None:
        self._waiting.remove(waiting)
        waiting.callback(None)

    async def _read(self) -> None:
        began = self.clock.seconds()
        try:
            self.roll, self.fault = await self.calls.call(self._read_names, began), ""
        except Unusable as error:
            self.fault = str(error)
        except SpoolError as error:
            self.fault = str(error.cause.strerror)
        finally:
            self._took = self.clock.seconds() - began
            self._is_reading = False
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(None)

    def _read_names(self, at: float) -> Roll:
        """BLOCKING."""
        with closing(self.open_spool()) as spool:
            return Roll(spool.entries(), at)
