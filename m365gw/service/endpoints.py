"""The endpoints of the API that are about the gateway as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from attrs import frozen

from m365gw.admin import answers
from m365gw.admin.api import Api
from m365gw.admin.body import Nothing
from m365gw.admin.http import Caller
from m365gw.admin.refusal import Refusal
from m365gw.service.changes import Changes
from m365gw.service.reload import Ending, Rejected
from m365gw.service.status import Status

LONGEST_DRAIN = 86400.0  # seconds


@frozen
class DrainOrder:
    """The body of POST /drain: the bound, in seconds."""

    seconds: float = 60.0


def serve(
    api: Api,
    status: Status,
    reload: Callable[[], Any],
    drain: Callable[[float], object],
) -> None:
    """Answer /status, /reload and /drain. `reload` gives an awaitable of `Changes`."""

    async def reloaded(_: Nothing, caller: Caller) -> Any:
        return await told(reload)

    def drained(order: DrainOrder, caller: Caller) -> Any:
        if not 0 <= order.seconds <= LONGEST_DRAIN:
            raise Refusal(400, "seconds is out of range.", "", f"0 to {LONGEST_DRAIN:g}.")
        drain(order.seconds)
        return status.status()

    api.get("/status", status.status, answers.Status)
    api.post("/reload", Nothing, reloaded, answers.Reloaded)
    api.post("/drain", DrainOrder, drained, answers.Status)


async def told(reload: Callable[[], Any]) -> dict[str, Any]:
    """Read the configuration anew, and what came of it. Raises `Refusal`."""
    try:
        change: Changes = await reload()
    except Ending as ending:
        raise Refusal(409, str(ending)) from None
    except Rejected as rejected:
        raise Refusal(
            422,
            "The new configuration was not taken; the gateway goes on with the one it has.",
            f"It has {len(rejected.problems)} problem(s).",
            "Mend them and reload again; m365gw check shows them too.",
            problems=[attrs.asdict(problem) for problem in rejected.problems],
        ) from None
    return {"changed": list(change.changed), "needs_restart": list(change.needs_restart)}
