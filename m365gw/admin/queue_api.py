"""The queue in the API: what is in flight, and what may be done to messages.

`POST /queue/hold` and its like take at most `MOST_IDS` queue ids at a time, so that an answer never
takes long, and give one result for each: done, later, gone, unchanged or failed, with words.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

from attrs import frozen

from m365gw.admin import answers
from m365gw.admin.api import Api
from m365gw.admin.http import Caller
from m365gw.admin.refusal import Refusal
from m365gw.spool.health import SpoolError
from m365gw.spool.operations import Action, Result

MOST_IDS: Final = 500


class Queue(Protocol):
    """The queue of the running service: `relay.operations.Operations`."""

    def active(self) -> list[str]: ...

    async def act(
        self, action: Action, queue_ids: Sequence[str], reason: str = ""
    ) -> list[Result]: ...

    async def flush(self, mailbox: str = "") -> int: ...


@frozen
class Chosen:
    """Which messages, and why they are held."""

    queue_ids: tuple[str, ...]
    reason: str = ""


@frozen
class Waiting:
    """Everything that waits, of this mailbox or ("") of all."""

    mailbox: str = ""


def add_queue(api: Api, queue: Queue) -> None:
    """Register the endpoints."""
    api.get("/queue/active", lambda: {"active": queue.active()}, answers.Active)
    for action in Action:
        api.post(f"/queue/{action.value}", Chosen, _endpoint(queue, action), answers.Results)
    api.post("/queue/flush", Waiting, partial(_flush, queue), answers.Released)


def _endpoint(queue: Queue, action: Action) -> Callable[[Chosen, Caller], Awaitable[Any]]:
    async def endpoint(chosen: Chosen, _caller: Caller) -> Any:
        if len(chosen.queue_ids) > MOST_IDS:
            raise Refusal(
                400,
                f"These are {len(chosen.queue_ids)} queue ids.",
                "So many would keep the service from its mail.",
                f"Send at most {MOST_IDS} at a time.",
            )
        results = await queue.act(action, chosen.queue_ids, chosen.reason)
        return {
            "results": [
                {"queue_id": one.queue_id, "result": one.result.value, "words": one.words}
                for one in results
            ]
        }

    return endpoint


async def _flush(queue: Queue, waiting: Waiting, _caller: Caller) -> Any:
    try:
        return {"released": await queue.flush(waiting.mailbox)}
    except SpoolError as error:
        raise Refusal(503, "The spool cannot be read.", f"{error.cause.strerror}.") from None
