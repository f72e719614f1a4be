"""The book of incidents: each from its opening to its closing, so that a restart forgets none.

That one was opened or closed is a line of the audit as well, beside what people have changed. How
far each channel was told of it is noted too, so a restart neither forgets to tell nor repeats.

Several gateways may share a database: each reads and closes only what is its own. A book is
bounded: of the incidents that are over, the oldest are forgotten.

Blocking. Failures: `DirectoryError`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select, update

from m365gw.directory import audit
from m365gw.directory.database import Database
from m365gw.directory.schema import incident_told, incidents
from m365gw.incidents import Incident, subject_of
from m365gw.microsoft.diagnosis import Diagnosis

KEPT = 10_000  # incidents of one gateway; open ones are always kept
LOST_SIGHT = "its end was not noted"
EVERYBODY = "*"  # a channel that stands for all: there is nobody else to be told

Told = Mapping[tuple[str, str], str]  # (incident, channel): "opened" or "closed"


class IncidentBook:
    """The incidents of one gateway."""

    def __init__(self, database: Database, gateway: str) -> None:
        self._database = database
        self._gateway = gateway
        self._own = incidents.c.gateway == gateway

    def write(self, news: Sequence[Incident], told: Told) -> None:
        """Note these as they are now, and who was told; what is there already is replaced."""
        ours = incidents.c.id.in_([incident.id for incident in news])
        with self._database.writing() as connection:
            known = connection.execute(select(incidents.c.id, incidents.c.closed_at).where(ours))
            before = {row.id: row.closed_at for row in known}
            connection.execute(delete(incidents).where(ours))
            for incident in news:
                self._end_others(connection, incident)
                connection.execute(insert(incidents).values(self._row(incident)))
                self._audit(connection, incident, before)
            for (incident_id, channel), stage in told.items():
                key = {"incident": incident_id, "channel": channel}
                connection.execute(delete(incident_told).filter_by(**key))
                connection.execute(insert(incident_told).values(stage=stage, **key))
            self._forget(connection)

    def to_be_told(self, since: float) -> list[tuple[Incident, dict[str, str]]]:
        """What is open or was closed since then, the oldest first, and how far it was told."""
        latest = incidents.c.closed_at.is_(None) | (incidents.c.closed_at >= since)
        rows = select(incidents).where(self._own, latest).order_by(incidents.c.opened_at)
        known = select(incident_told).where(
            incident_told.c.incident.in_(select(incidents.c.id).where(self._own, latest))
        )
        with self._database.reading() as connection:
            found = [_incident(row) for row in connection.execute(rows)]
            told: dict[str, dict[str, str]] = {each.id: {} for each in found}
            for row in connection.execute(known):
                told[row.incident][row.channel] = row.stage
        return [(each, told[each.id]) for each in found]

    def open_ones(self) -> list[Incident]:
        """What was open when it was last written, the oldest first."""
        rows = select(incidents).where(self._own, incidents.c.closed_at.is_(None))
        return self._read(rows.order_by(incidents.c.opened_at))

    def latest(self, limit: int) -> list[Incident]:
        """Open and closed ones, the newest first."""
        rows = select(incidents).where(self._own)
        return self._read(rows.order_by(incidents.c.opened_at.desc()).limit(limit))

    def find(self, incident_id: str) -> Incident | None:
        """The incident of this id."""
        found = self._read(select(incidents).where(self._own, incidents.c.id == incident_id))
        return found[0] if found else None

    def _read(self, rows: Select[Any]) -> list[Incident]:
        with self._database.reading() as connection:
            return [_incident(row) for row in connection.execute(rows)]

    def _audit(
        self, connection: Connection, incident: Incident, before: Mapping[str, float | None]
    ) -> None:
        """A line for its opening, and one for its closing; `before` is what was noted of them."""
        steps = [] if incident.id in before else ["incident.opened"]
        if incident.closed_at is not None and before.get(incident.id) is None:
            steps.append("incident.closed")
        subject = ", ".join(value for _, value in incident.subject) or self._gateway
        for step in steps:
            detail = {"incident": incident.id, "key": incident.told.key, "what": incident.told.what}
            audit.note(connection, self._gateway, step, subject, detail)

    def _end_others(self, connection: Connection, incident: Incident) -> None:
        """Of one name only one is open: another one was written before the database was away."""
        same = (
            self._own,
            incidents.c.key == incident.told.key,
            incidents.c.subject == _subject(incident.subject),
            incidents.c.closed_at.is_(None),
        )
        over = {"closed_at": incident.closed_at or incident.opened_at, "note": LOST_SIGHT}
        connection.execute(update(incidents).where(*same).values(over))

    def _forget(self, connection: Connection) -> None:
        at = incidents.c.opened_at
        newest = select(at).where(self._own).order_by(at.desc()).offset(KEPT).limit(1)
        before = connection.scalar(newest)
        if before is not None:
            is_over = incidents.c.closed_at.is_not(None)
            connection.execute(delete(incidents).where(self._own, is_over, at <= before))
            kept = select(incidents.c.id)
            connection.execute(delete(incident_told).where(incident_told.c.incident.not_in(kept)))

    def _row(self, incident: Incident) -> dict[str, Any]:
        told = incident.told
        return {
            "id": incident.id,
            "gateway": self._gateway,
            "key": told.key,
            "subject": _subject(incident.subject),
            "level": incident.level,
            "state": incident.state,
            "what": told.what,
            "why": told.why,
            "fix": told.fix,
            "who": told.who,
            "opened_at": incident.opened_at,
            "closed_at": incident.closed_at,
            "note": incident.note,
        }


def _subject(subject: Iterable[tuple[str, str]]) -> str:
    return json.dumps(dict(subject), ensure_ascii=False)


def _incident(row: Any) -> Incident:
    return Incident(
        id=row.id,
        told=Diagnosis(row.key, row.what, row.why, row.fix, row.who),
        level=row.level,
        subject=subject_of(json.loads(row.subject)),
        state=row.state,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        note=row.note,
    )
