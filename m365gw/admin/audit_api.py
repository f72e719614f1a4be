"""`POST /audit/list`: who changed what in the directory, the newest first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from attrs import asdict, frozen

from m365gw.admin import answers
from m365gw.admin.api import Api
from m365gw.admin.http import Caller
from m365gw.admin.refusal import Refusal
from m365gw.directory.audit import Change
from m365gw.directory.database import DirectoryError

MOST: Final = 1000


@frozen
class Wanted:
    """At most so many lines, older than the line with the id `before` where one is given."""

    limit: int = 100
    before: int | None = None


def add_audit(api: Api, changes: Callable[[int, int | None], Awaitable[list[Change]]]) -> None:
    """Register the endpoint. `changes` reads the lines."""

    async def listed(wanted: Wanted, caller: Caller) -> Any:
        if not 1 <= wanted.limit <= MOST:
            raise Refusal(400, "limit is out of range.", "", f"1 to {MOST}.")
        try:
            found = await changes(wanted.limit, wanted.before)
        except DirectoryError as error:
            raise Refusal(503, "The audit cannot be read.", str(error)) from None
        return {"changes": [asdict(each) for each in found]}

    api.ask("/audit/list", Wanted, listed, answers.Changes)
