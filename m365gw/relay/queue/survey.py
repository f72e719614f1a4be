"""The look through the spool: names are read in slices, so that mail goes out meanwhile.

Once at the start, as fast as it goes; and again each `queue_run_delay` for what memory does not
know (put back by a tool, or forgotten for want of room), and when the disk of the spool was found
again after it had failed. Failures: a folder that cannot be read is logged, and tried again at the
next look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from attrs import define
from twisted.internet.interfaces import IReactorTime

from m365gw.events import EventLog
from m365gw.spool.health import SpoolError
from m365gw.spool.names import Entry, State
from m365gw.spool.spool import Spool

_WAITING = (State.INCOMING, State.DEFERRED)
SLICE = 200  # names read from the spool in one turn: about three milliseconds
PAUSE = 0.05  # seconds between two slices of a later look: 4,000 names a second, whatever there is


@define(kw_only=True)
class Survey:
    """Reads what waits in the spool. `found` is given each slice, an empty one at the end."""

    spool: Spool
    clock: IReactorTime
    log: EventLog
    every: float  # seconds between two looks
    found: Callable[[list[Entry]], object]
    due: float = 0.0  # when the next look is
    _names: Iterator[Entry] | None = None
    is_first: bool = True
    _is_stopping: bool = False
    _times_found: int = 0  # how often the spool had been found again when this began

    @property
    def is_due(self) -> bool:
        """Whether to look now: it is time, or the spool may not be what it was."""
        is_other = self.spool.grip.times_found != self._times_found
        return (is_other or self.clock.seconds() >= self.due) and not self.spool.health.closed

    def begin(self) -> None:
        """Begin to read, unless that is under way."""
        self.due = self.clock.seconds() + self.every
        is_reading, names = self._names is not None, self.spool.entries(*_WAITING)
        if self.spool.grip.times_found != self._times_found:
            self._times_found = self.spool.grip.times_found
            self._names, self.is_first = names, True
        elif not is_reading:
            self._names = names
        if not is_reading:
            self._read_slice()

    def stop(self) -> None:
        """Read no more."""
        self._is_stopping = True

    def _read_slice(self) -> None:
        if self._names is None or self._is_stopping:
            return
        try:
            entries = list(islice(self._names, SLICE))
        except SpoolError as error:
            self._names = None
            note = f"the spool cannot be read: {error.cause}; it is tried again"
            self.log.emit("spool.unreadable", "qmgr", level="error", note=note)
            return
        self.found([entry for entry in entries if self._is_news(entry)])
        if entries:
            self.clock.callLater(0 if self.is_first else PAUSE, self._read_slice)
        else:
            self._names, self.is_first = None, False

    def _is_news(self, entry: Entry) -> bool:
        """Whether an entry may be taken up: not yet if it arrived a moment ago.

        It may not be acknowledged yet. At the start all is news, whatever the clock says of its
        arrival.
        """
        is_old = entry.arrived_at < self.clock.seconds() - self.every
        return self.is_first or entry.state is State.DEFERRED or is_old
