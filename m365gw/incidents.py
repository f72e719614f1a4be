"""Incidents in the log: opened once and closed once, with what, why, what to do, and who must."""

from __future__ import annotations

from m365gw.events import EventLog
from m365gw.microsoft.diagnosis import Diagnosis


def tell_opened(log: EventLog, told: Diagnosis, *, level: str = "warn", **subject: str) -> None:
    """Somebody has to know. `subject` says of what: mailbox="relay@contoso.com"."""
    _tell(log, "incident.opened", level, told, "", subject)


def tell_closed(log: EventLog, told: Diagnosis, lasted: float, **subject: str) -> None:
    """It is over, after so many seconds."""
    _tell(log, "incident.closed", "info", told, f"after {round(lasted)} s", subject)


def _tell(
    log: EventLog, event: str, level: str, told: Diagnosis, note: str, subject: dict[str, str]
) -> None:
    log.emit(
        event,
        "qmgr",
        level=level,
        note=note,
        **subject,
        key=told.key,
        what=told.what,
        why=told.why,
        fix=told.fix,
        who=told.who,
    )
