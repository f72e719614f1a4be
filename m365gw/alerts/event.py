"""One piece of news for people: what is sent to webhooks and by mail, and how it reads.

Pure values; nothing fails here.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from enum import Enum

from attrs import frozen

from m365gw.incidents import Incident
from m365gw.microsoft.diagnosis import Diagnosis


class Kind(Enum):
    """Why it is told now."""

    OPENED = "opened"
    CHANGED = "changed"
    REMINDER = "reminder"  # it is open still
    CLOSED = "closed"
    TEST = "test"


_HEADS = {
    Kind.OPENED: "PROBLEM",
    Kind.CHANGED: "PROBLEM, news of it",
    Kind.REMINDER: "STILL OPEN",
    Kind.CLOSED: "OVER",
    Kind.TEST: "TEST",
}

# How far a channel was told of an incident, as the book keeps it.
OPENED, CLOSED = Kind.OPENED.value, Kind.CLOSED.value

TRIED = Diagnosis(
    "test",
    "This is a test of the alerts of m365gw. Nothing is wrong.",
    "Somebody ran m365gw incident test.",
    "Nothing.",
    "nobody",
)


@frozen
class Event:
    """One incident as it was at `at`, in seconds since the epoch; `gateway` is our host name."""

    kind: Kind
    incident: Incident
    gateway: str
    at: float

    @classmethod
    def test(cls, gateway: str, at: float) -> Event:
        return cls(
            Kind.TEST, Incident(id="00000000", told=TRIED, level="info", opened_at=at), gateway, at
        )

    @property
    def id(self) -> str:
        """16 hexadecimal digits: of one opening or closing the same, whichever process tells it."""
        parts = [self.gateway, self.incident.id, self.kind.value]
        if self.kind not in (Kind.OPENED, Kind.CLOSED):
            parts.append(repr(self.at))
        return hashlib.blake2b(" ".join(parts).encode(), digest_size=8).hexdigest()

    @property
    def subject(self) -> str:
        """What it is about, in a few words; "" where that is the gateway as a whole."""
        return ", ".join(f"{kind} {name}" for kind, name in self.incident.subject)

    @property
    def headline(self) -> str:
        """All that fits in a subject line."""
        about = f" ({self.subject})" if self.subject else ""
        return f"{_HEADS[self.kind]}: {self.incident.told.what}{about}"

    def paragraphs(self) -> Iterator[tuple[str, str]]:
        """Labels and texts, for a person."""
        incident, told = self.incident, self.incident.told
        yield "What happened", told.what
        if self.subject:
            yield "What with", self.subject
        if self.kind is Kind.CLOSED:
            yield "Closed", f"{moment(self.at)}, after {lasted(self.at - incident.opened_at)}"
            if incident.note:
                yield "Note", incident.note
        else:
            yield "What it means", told.why
            yield "What to do", told.fix
            yield "Who must act", told.actor
        if self.kind is not Kind.TEST:
            yield "Since", moment(incident.opened_at)
            yield "Incident", f"{incident.id} ({told.key}); m365gw incident show {incident.id}"

    @property
    def text(self) -> str:
        """All of it in a few lines, as chats show it."""
        rest = [f"{label}: {text}" for label, text in self.paragraphs()]
        return "\n".join([f"{_HEADS[self.kind]} on {self.gateway}", *rest])


def moment(at: float) -> str:
    """A time by UTC: "2026-11-21 10:55 UTC"."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))


def lasted(seconds: float) -> str:
    """A length of time: "40 s", "12 min", "5 h", "3 d"."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
