"""The endpoints about incidents."""

from __future__ import annotations

import json
from typing import Any

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from m365gw.admin.incident_api import MOST, add_incidents
from m365gw.alerts.alerts import Trial
from m365gw.incidents import Incident
from m365gw.microsoft.diagnosis import Diagnosis
from tests.admin.requests import Stage

HELD = Diagnosis("held", "It is held.", "Because.", "Mend it.", "operator")


def incident(number: int, closed_at: float | None = None) -> Incident:
    return Incident(id=f"{number:08x}", told=HELD, opened_at=float(number), closed_at=closed_at)


@define
class Desk:
    """Knows an open incident and one that is over."""

    asked: list[int] = field(factory=list)

    def open_ones(self) -> list[Incident]:
        return [incident(2)]

    async def history(self, limit: int) -> list[Incident]:
        self.asked.append(limit)
        return [incident(2), incident(1, 9.0)]

    async def find(self, incident_id: str) -> Incident | None:
        return incident(2) if incident_id == "00000002" else None

    async def test(self) -> list[Trial]:
        return [Trial("mail ops@contoso.com", False, "No mailbox is ready.")]

    async def credentials(self) -> list[dict[str, Any]]:
        return [{"kind": "secret", "name": "relay@contoso.com", "ends_at": None}]


class IncidentApiTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stage, self.desk = Stage(), Desk()
        add_incidents(self.stage.api, self.desk)

    def ask(self, method: str, path: str, **body: object) -> tuple[int, Any]:
        octets = json.dumps(body).encode() if method == "POST" else b""
        answered = self.stage.ask(method, f"/api/v1{path}", octets)
        return answered.status, answered.body

    def test_what_is_open(self) -> None:
        """By GET, and by POST without wishes."""
        wanted = (200, {"incidents": [incident(2).plain()]})
        self.assertEqual(self.ask("GET", "/incidents"), wanted)
        self.assertEqual(self.ask("POST", "/incidents/list"), wanted)
        self.assertEqual(self.desk.asked, [])

    def test_what_was(self) -> None:
        """Of the last so many, within a bound."""
        status, said = self.ask("POST", "/incidents/list", all=True, limit=1)
        self.assertEqual((status, [one["id"] for one in said["incidents"]]), (200, ["00000002"]))
        for limit in (0, MOST + 1):
            self.assertEqual(self.ask("POST", "/incidents/list", all=True, limit=limit)[0], 400)
        self.assertEqual(self.desk.asked, [1])

    def test_one(self) -> None:
        """Or none of this id."""
        self.assertEqual(
            self.ask("POST", "/incidents/show", id="00000002"), (200, incident(2).plain())
        )
        self.assertEqual(self.ask("POST", "/incidents/show", id="../x")[0], 404)

    def test_a_test_of_who_is_told(self) -> None:
        """What came of each way."""
        status, said = self.ask("POST", "/incidents/test")
        self.assertEqual((status, said["trials"][0]["is_good"]), (200, False))

    def test_what_will_end(self) -> None:
        """Also that nobody knows."""
        status, said = self.ask("GET", "/credentials")
        self.assertEqual((status, said["credentials"][0]["ends_at"]), (200, None))
