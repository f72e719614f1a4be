"""Sign-ins of people in the API: begun, asked after, finished or given up.

`begin` says what the person has to do; `poll` asks whether it was done (flow device), `finish`
brings what the browser came back with (flow web). After a sign-in the mailbox is tried at once, so
that what waited for it goes.

Failures: `Refusal` 404 for an unknown mailbox or sign-in, 409 for a mailbox that signs in without a
person, 422 with the diagnosis when the sign-in failed.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol

import attrs
from attrs import frozen

from m365gw.admin.api import Api
from m365gw.admin.http import Caller
from m365gw.admin.refusal import Refusal
from m365gw.relay.tokens.failures import TokenUnavailable


@frozen
class Beginning:
    """For which mailbox; and for flow web, where the browser comes back to."""

    address: str
    redirect_uri: str = ""


@frozen
class Named:
    """Which sign-in."""

    id: str


@frozen
class Finishing:
    """Which sign-in, and the parameters of the address the browser came back to."""

    id: str
    arguments: dict[str, str]


class SigningIn(Protocol):
    """Sign-ins of the running service: `service.signing_in.SigningIn`."""

    async def begin(self, address: str, redirect_uri: str) -> dict[str, Any]: ...

    async def poll(self, name: str) -> dict[str, Any]: ...

    async def finish(self, name: str, arguments: dict[str, str]) -> dict[str, Any]: ...

    def cancel(self, name: str) -> dict[str, Any]: ...


def add_sign_in(api: Api, signing_in: SigningIn) -> None:
    """Register the endpoints."""

    async def begin(order: Beginning, caller: Caller) -> Any:
        return await _told(signing_in.begin(order.address, order.redirect_uri))

    async def poll(order: Named, caller: Caller) -> Any:
        return await _told(signing_in.poll(order.id))

    async def finish(order: Finishing, caller: Caller) -> Any:
        return await _told(signing_in.finish(order.id, order.arguments))

    def cancel(order: Named, caller: Caller) -> Any:
        return signing_in.cancel(order.id)

    api.post("/mailboxes/signin/begin", Beginning, begin)
    api.post("/mailboxes/signin/poll", Named, poll)
    api.post("/mailboxes/signin/finish", Finishing, finish)
    api.post("/mailboxes/signin/cancel", Named, cancel)


async def _told(doing: Awaitable[Any]) -> Any:
    """What fails, in the shape of the API."""
    try:
        return await doing
    except TokenUnavailable as problem:
        told = problem.diagnosis
        raise Refusal(
            422,
            f"The sign-in failed. {told.what}",
            told.why,
            f"{told.fix} Who must act: {told.actor}.",
            diagnosis=attrs.asdict(told),
        ) from None
