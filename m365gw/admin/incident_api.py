"""The endpoints about incidents and about what will end.

GET  /incidents             what is open
POST /incidents/list        {"all": true, "limit": 100}: also what is over, the newest first
POST /incidents/show        {"id": "7f3a09bc"}
POST /incidents/test        tell everybody who is told of incidents, and say what came of it
GET  /credentials           when certificates, secrets, sign-ins and passwords end
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Protocol

from attrs import asdict, frozen

from m365gw.admin import answers
from m365gw.admin.api import Api
from m365gw.admin.body import Nothing
from m365gw.admin.http import Caller
from m365gw.admin.refusal import Refusal
from m365gw.alerts.alerts import Trial
from m365gw.incidents import Incident

MOST = 1000  # incidents of one answer


class Desk(Protocol):
    """Who knows of incidents."""

    def open_ones(self) -> list[Incident]: ...

    def history(self, limit: int) -> Awaitable[list[Incident]]:
        """Open and closed ones, the newest first."""
        ...

    def find(self, incident_id: str) -> Awaitable[Incident | None]: ...

    def test(self) -> Awaitable[Sequence[Trial]]: ...

    def credentials(self) -> Awaitable[list[dict[str, Any]]]: ...


@frozen
class Wanted:
    """Which incidents: the open ones, or all of the last so many."""

    all: bool = False
    limit: int = 100


@frozen
class One:
    """One incident."""

    id: str


def add_incidents(api: Api, desk: Desk) -> None:
    """Register the endpoints."""

    async def listed(wanted: Wanted, _caller: Caller) -> Any:
        if not 1 <= wanted.limit <= MOST:
            raise Refusal(400, "limit is out of range.", "", f"1 to {MOST}.")
        found = await desk.history(wanted.limit) if wanted.all else desk.open_ones()
        return _plain(found[: wanted.limit])

    async def shown(one: One, _caller: Caller) -> Any:
        found = await desk.find(one.id)
        if found is None:
            raise Refusal(404, f"There is no incident {one.id}.", "", "m365gw incident list --all")
        return found.plain()

    async def tested(_: Nothing, _caller: Caller) -> Any:
        return {"trials": [asdict(each) for each in await desk.test()]}

    async def credentials() -> Any:
        return {"credentials": await desk.credentials()}

    api.get("/incidents", lambda: _plain(desk.open_ones()), answers.Incidents)
    api.ask("/incidents/list", Wanted, listed, answers.Incidents)
    api.ask("/incidents/show", One, shown, answers.Incident)
    api.post("/incidents/test", Nothing, tested, answers.Trials)
    api.get("/credentials", credentials, answers.Credentials)


def _plain(incidents: Sequence[Incident]) -> dict[str, Any]:
    return {"incidents": [each.plain() for each in incidents]}
