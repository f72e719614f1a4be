"""Incidents: what somebody has to know, opened once and closed once, also over restarts.

An incident is a diagnosis and what it is about (`mailbox="relay@contoso.com"`): both together are
its name. Whoever finds a fault says `open`, again and again if that is easier, and `close` when it
is over; said twice it is no news. The same incident in other words (its `what`, or its level) is
told once more: a certificate that ends in 14 days was told of at 30.

The board keeps what is open, writes each piece of news to the log, and tells it to listeners: the
book that keeps a history, webhooks and mail. A listener only notes what it hears, and raises
nothing. At start the board `recall`s what was open when the last process ended: that is not told
anew. What is recalled and not found again by whoever would know is closed by `settle`.

Pure: `clock` gives seconds since the epoch. Nothing fails here.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

from attrs import evolve, field, frozen

from m365gw.events import EventLog
from m365gw.microsoft.diagnosis import Diagnosis

Subject = tuple[tuple[str, str], ...]
Name = tuple[str, Subject]

NOT_SEEN_AGAIN = "not seen again since the service started"


class News(Enum):
    """What is told of an incident."""

    OPENED = "opened"
    CHANGED = "changed"  # it is still open, and its words or its level are others
    REMEMBERED = "remembered"  # it is open since before this process, and nobody had noted it
    CLOSED = "closed"


def subject_of(names: Mapping[str, str]) -> Subject:
    """What an incident is about, as a value that can be compared."""
    return tuple(sorted(names.items()))


@frozen(kw_only=True)
class Incident:
    """One incident. Times are in seconds since the epoch; `closed_at` is None while it is open."""

    id: str  # 8 hexadecimal digits
    told: Diagnosis
    level: str = "warn"  # one of events.LEVELS
    subject: Subject = ()
    state: str = ""  # of the mailbox, where it is about one
    opened_at: float
    closed_at: float | None = None
    note: str = field(default="", eq=False)  # how it came to be closed, where that is not plain

    @property
    def name(self) -> Name:
        return self.told.key, self.subject

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    def plain(self) -> dict[str, Any]:
        """As JSON shows it."""
        told = self.told
        return {
            "id": self.id,
            "key": told.key,
            "level": self.level,
            "subject": dict(self.subject),
            "state": self.state,
            "what": told.what,
            "why": told.why,
            "fix": told.fix,
            "who": told.who,
            "opened_at": self.opened_at,
            "closed_at": self.closed_at,
            "note": self.note,
        }


Listener = Callable[[News, Incident], object]


def _new_id() -> str:
    return secrets.token_hex(4)


class Incidents:
    """The board: what is open now. Iterating gives the open ones, the oldest first."""

    def __init__(
        self, log: EventLog, clock: Callable[[], float], *, new_id: Callable[[], str] = _new_id
    ) -> None:
        self._log = log
        self._clock = clock
        self._new_id = new_id
        self._open: dict[Name, Incident] = {}
        self._unseen: set[Name] = set()  # recalled, and not found again so far
        self._listeners: list[Listener] = []

    def __iter__(self) -> Iterator[Incident]:
        return iter(sorted(self._open.values(), key=lambda each: each.opened_at))

    def listen(self, listener: Listener) -> None:
        """Tell this one too, from now on."""
        self._listeners.append(listener)

    def is_open(self, key: str, **subject: str) -> bool:
        """Whether an incident of this diagnosis is open about this."""
        return (key, subject_of(subject)) in self._open

    def open(
        self, told: Diagnosis, *, level: str = "warn", state: str = "", **subject: str
    ) -> None:
        """Somebody has to know. `subject` says of what: mailbox="relay@contoso.com"."""
        name = told.key, subject_of(subject)
        before = self._open.get(name)
        self._unseen.discard(name)
        if before is None:
            incident = self._made(told, level, state, name[1], self._clock())
            self._tell(News.OPENED, incident, level, "")
        else:
            incident = evolve(before, told=told, level=level, state=state or before.state)
            self._open[name] = incident
            if (told.what, level) != (before.told.what, before.level):
                self._tell(News.CHANGED, incident, level, "")

    def remember(
        self,
        told: Diagnosis,
        since: float,
        *,
        level: str = "warn",
        state: str = "",
        **subject: str,
    ) -> None:
        """It is open since before this process, which told of it: it is known, and not told."""
        name = told.key, subject_of(subject)
        self._unseen.discard(name)
        if name not in self._open:
            incident = self._made(told, level, state, name[1], since)
            self._hear(News.REMEMBERED, incident)

    def close(self, key: str, *, note: str = "", **subject: str) -> None:
        """It is over; one that is not open may be closed as well."""
        name = key, subject_of(subject)
        self._unseen.discard(name)
        incident = self._open.pop(name, None)
        if incident is not None:
            now = self._clock()
            closed = evolve(incident, closed_at=now, note=note)
            lasted = f"after {round(max(0.0, now - incident.opened_at))} s"
            self._tell(News.CLOSED, closed, "info", f"{lasted}; {note}" if note else lasted)

    def recall(self, incidents: Iterable[Incident]) -> None:
        """What was open when the last process ended. To be given before anything is opened."""
        for incident in incidents:
            self._open[incident.name] = incident
            self._unseen.add(incident.name)

    def settle(self) -> None:
        """Whoever would find again what was recalled has had the time: the rest is over."""
        for key, subject in list(self._unseen):
            self.close(key, note=NOT_SEEN_AGAIN, **dict(subject))

    def _made(
        self, told: Diagnosis, level: str, state: str, subject: Subject, at: float
    ) -> Incident:
        incident = Incident(
            id=self._new_id(), told=told, level=level, subject=subject, state=state, opened_at=at
        )
        self._open[incident.name] = incident
        return incident

    def _tell(self, news: News, incident: Incident, level: str, note: str) -> None:
        told = incident.told
        self._log.emit(
            f"incident.{news.value}",
            "qmgr",
            level=level,
            note=note,
            incident=incident.id,
            **dict(incident.subject),
            **({"state": incident.state} if incident.state and news is not News.CLOSED else {}),
            key=told.key,
            what=told.what,
            why=told.why,
            fix=told.fix,
            who=told.who,
        )
        self._hear(news, incident)

    def _hear(self, news: News, incident: Incident) -> None:
        for listener in self._listeners:
            listener(news, incident)
