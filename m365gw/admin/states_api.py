"""Pausing, resuming and retrying mailboxes in the API."""

from __future__ import annotations

from typing import Any, Protocol

from attrs import frozen

from m365gw.admin import answers
from m365gw.admin.api import Api
from m365gw.admin.http import Caller


@frozen
class Pausing:
    """Which mailbox, and why; the reason is shown to whoever looks."""

    address: str
    reason: str


@frozen
class Addressed:
    """Which mailbox."""

    address: str


class States(Protocol):
    """What may be done to mailboxes of the running service: `service.states.States`.

    Each gives the mailbox as it is then, and raises `Refusal` for one that is not there.
    """

    async def pause(self, order: Pausing, caller: Caller) -> dict[str, Any]: ...

    async def resume(self, order: Addressed, caller: Caller) -> dict[str, Any]: ...

    async def retry(self, order: Addressed, caller: Caller) -> dict[str, Any]: ...


def add_states(api: Api, states: States) -> None:
    """Register the endpoints."""
    api.post("/mailboxes/pause", Pausing, states.pause, answers.MailboxState)
    api.post("/mailboxes/resume", Addressed, states.resume, answers.MailboxState)
    api.post("/mailboxes/retry", Addressed, states.retry, answers.MailboxState)
