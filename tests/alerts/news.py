"""What tests of alerts share: a log one can read, a board, incidents to tell."""

from __future__ import annotations

import io
import json
from typing import Any

from attrs import define, field
from twisted.internet.task import Clock

from m365gw.alerts.event import Event, Kind
from m365gw.events import EventLog
from m365gw.incidents import Incident, Incidents
from m365gw.microsoft.diagnosis import Diagnosis

START = 1_800_000_000.0
BOX = "relay@contoso.com"
GATEWAY = "relay.example.com"
HELD = Diagnosis(
    "consent-missing",
    f"Nobody has allowed the app to send mail for {BOX}.",
    "The permission was taken back.",
    "Grant admin consent.",
    "entra-admin",
)


@define
class Stage:
    """A clock one moves by hand, and what was logged and opened by it."""

    clock: Clock = field(factory=Clock)
    lines: io.StringIO = field(factory=io.StringIO)
    log: EventLog = field(init=False)
    incidents: Incidents = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.clock.advance(START)
        self.log = EventLog(self.lines, hostname="here", format="json", clock=self.clock.seconds)
        self.incidents = Incidents(self.log, self.clock.seconds)

    def events(self, name: str) -> list[dict[str, Any]]:
        """All such lines of the log."""
        found = [json.loads(line) for line in self.lines.getvalue().splitlines()]
        return [each for each in found if each["event"] == name]

    def wait(self, seconds: float, steps: int = 1) -> None:
        """Let time pass, in so many steps."""
        self.clock.pump([seconds / steps] * steps)


def event(kind: Kind = Kind.OPENED, number: int = 1, at: float = START, box: str = BOX) -> Event:
    """News of an incident."""
    is_over = kind is Kind.CLOSED
    incident = Incident(
        id=f"{number:08x}",
        told=HELD,
        subject=(("mailbox", box),),
        state="needs_admin",
        opened_at=START - 600,
        closed_at=at if is_over else None,
    )
    return Event(kind, incident, GATEWAY, at)
