"""What the log says of a stop: an incident when somebody has to know, else a line when it begins
and one when it is over. A stop of a tenant or a host names no single mailbox."""

from __future__ import annotations

from math import inf

from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.relay.stops.stops import Key, Stop

ANY = "ADDRESS"  # in commands that are to be given for each mailbox


class StopLog:
    """Says what happens to stops. An incident opens once and closes once."""

    def __init__(self, log: EventLog, incidents: Incidents) -> None:
        self._log = log
        self._incidents = incidents

    def began(self, key: Key, stop: Stop, now: float) -> None:
        """Something waits, and will go on by itself."""
        self._say("mailbox.stopped", key, f"waits {round(stop.until - now)} s: {_told(stop).what}")

    def remembered(self, key: Key, stop: Stop, now: float) -> None:
        """What the last process knew still stops mail."""
        if stop.until == inf:
            when = "it waits until it is resumed"
        else:
            wait = round(stop.until - now)
            when = f"it waits {wait} s more" if wait > 0 else "one message tries now"
        note = f"stopped since before this start; {when}: {_told(stop)}"
        self._say("mailbox.stopped", key, note, level="warn")
        if stop.has_incident:
            about = _subject(key)
            self._incidents.remember(_told(stop), stop.since, state=stop.state.value, **about)

    def ended(self, key: Key, stop: Stop, now: float) -> None:
        """A stop is over: its incident closes, or the log says so."""
        if stop.has_incident:
            self.incident_over(key, stop)
        else:
            self._say("mailbox.resumed", key, f"mail goes on after {round(now - stop.since)} s")

    def incident(self, key: Key, stop: Stop) -> None:
        """Somebody has to know, and is told once."""
        if not stop.has_incident:
            stop.has_incident = True
            self._incidents.open(_told(stop), state=stop.state.value, **_subject(key))

    def incident_over(self, key: Key, stop: Stop) -> None:
        """The incident is over; the stop may go on for another cause."""
        if stop.has_incident:
            stop.has_incident = False
            self._incidents.close(stop.diagnosis.key, **_subject(key))

    def _say(self, event: str, key: Key, note: str, level: str = "info") -> None:
        self._log.emit(event, "qmgr", level=level, note=note, **_subject(key))


def _subject(key: Key) -> dict[str, str]:
    kind, name = key
    return {"mailbox" if kind == "paused" else kind: name}


def _told(stop: Stop) -> Diagnosis:
    return stop.diagnosis.about(mailbox=ANY, client_id=ANY)
