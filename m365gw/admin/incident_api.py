"""The endpoints about incidents and about what will end.

GET  /incidents             what is open
POST /incidents/test        tell everybody who is told of incidents, and say what came of it
GET  /credentials           when certificates, secrets, sign-ins and passwords end
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from attrs import asdict

from m365gw.admin.api import Api
from m365gw.admin.body import Nothing
from m365gw.admin.http import Caller
from m365gw.alerts.alerts import Trial
from m365gw.incidents import Incident


class Desk(Protocol):
    """Who knows of incidents."""

    def open_ones(self) -> list[Incident]: ...

    def test(self) -> Awaitable[Sequence[Trial]]: ...

    def credentials(self) -> list[dict[str, Any]]: ...


def add_incidents(api: Api, desk: Desk) -> None:
    """Register the endpoints."""

    async def tested(_: Nothing, _caller: Caller) -> Any:
        return {"trials": [asdict(each) for each in await desk.test()]}

    api.get("/incidents", lambda: _plain(desk.open_ones()))
    api.post("/incidents/test", Nothing, tested)
    api.get("/credentials", lambda: {"credentials": desk.credentials()})


def _plain(incidents: Sequence[Incident]) -> dict[str, Any]:
    return {"incidents": [each.plain() for each in incidents]}
