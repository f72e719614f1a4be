"""Keeps what became of every incident, in a book on disk that may be away.

News, and who was told of it, is noted in memory at once and written soon after, in a thread. While
the book cannot be written nothing is lost but by a bound, nobody waits, and it is tried again.

Failures: none leave here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from m365gw.alerts.event import CLOSED, OPENED, Event, Kind
from m365gw.directory.database import DirectoryError
from m365gw.directory.incident_book import Told
from m365gw.events import EventLog
from m365gw.incidents import Incident, Incidents, News
from m365gw.relay.threads import Calls

SOON = 0.5  # seconds from a piece of news until it is written
AGAIN = 30.0  # seconds until writing is tried again
MOST = 5000  # incidents that wait to be written; then the oldest are dropped

_diagnostics = Logger()


class Book(Protocol):
    """Where incidents are kept. Blocking; raises `DirectoryError`."""

    def write(self, incidents: Sequence[Incident], told: Told) -> None: ...

    def latest(self, limit: int) -> list[Incident]: ...

    def find(self, incident_id: str) -> Incident | None: ...


@define
class History:
    """What the book holds, and what it does not hold yet."""

    book: Book
    calls: Calls
    clock: IReactorTime
    log: EventLog
    incidents: Incidents
    _is_away: bool = field(default=False, init=False)
    _unwritten: dict[str, Incident] = field(factory=dict, init=False)
    _told: dict[tuple[str, str], str] = field(factory=dict, init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)
    _writing: Deferred[None] | None = field(default=None, init=False)

    def hear(self, _news: News, incident: Incident) -> None:
        """A listener of the board."""
        self._unwritten.pop(incident.id, None)  # the latest word is the last to be dropped
        self._unwritten[incident.id] = incident
        if len(self._unwritten) > MOST:
            del self._unwritten[next(iter(self._unwritten))]
        self._plan(SOON)

    def told(self, channel: str, event: Event) -> None:
        """A channel has been told of this."""
        if event.kind is Kind.TEST:
            return
        name = event.incident.id, channel
        if len(self._told) < MOST and self._told.get(name) != CLOSED:
            self._told[name] = CLOSED if event.kind is Kind.CLOSED else OPENED
            self._plan(SOON)

    async def latest(self, limit: int) -> list[Incident]:
        """Open and closed ones, the newest first; while the book is away, what is known here."""
        try:
            kept = await self.calls.call(self.book.latest, limit)
        except DirectoryError:
            kept = []
        known = {each.id: each for each in [*kept, *self.incidents, *self._unwritten.values()]}
        return sorted(known.values(), key=lambda each: each.opened_at, reverse=True)[:limit]

    async def find(self, incident_id: str) -> Incident | None:
        """One of them; None when there is none, or the book is away and nobody else knows it."""
        known: list[Incident] = [*self.incidents, *self._unwritten.values()]
        here = [one for one in known if one.id == incident_id]
        if here:
            return here[-1]
        try:
            found: Incident | None = await self.calls.call(self.book.find, incident_id)
        except DirectoryError:
            return None
        return found

    async def stop(self) -> None:
        """Write what can be written, and then nothing more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        await self._write()

    def _plan(self, seconds: float) -> None:
        if self._timer is None and self._writing is None:
            self._timer = self.clock.callLater(seconds, self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._writing = Deferred.fromCoroutine(self._write())
        self._writing.addErrback(lambda fault: _diagnostics.failure("history", failure=fault))
        self._writing.addCallback(self._written)

    def _written(self, _done: object) -> None:
        self._writing = None
        if self._unwritten or self._told:
            self._plan(AGAIN if self._is_away else SOON)

    async def _write(self) -> None:
        batch, told = dict(self._unwritten), dict(self._told)
        if not batch and not told:
            return
        try:
            await self.calls.call(self.book.write, list(batch.values()), told)
        except DirectoryError as error:
            if not self._is_away:
                note = f"the history of incidents waits: {error}"
                self.log.emit("incident.unwritten", "qmgr", level="warn", note=note)
            self._is_away = True
            return
        self._is_away = False
        for name, incident in batch.items():
            if self._unwritten.get(name) is incident:
                del self._unwritten[name]
        self._told = {key: at for key, at in self._told.items() if told.get(key) != at}
