"""POST /doctor: the running service examines itself and its mailboxes.

The answer comes when all checks are through, which may take a minute and more. Examinations take
turns, as each signs in to its mailboxes on a connection of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from attrs import frozen

from m365gw.admin.api import Api
from m365gw.admin.http import Caller
from m365gw.admin.refusal import Refusal


@frozen
class Wanted:
    """The body: which mailboxes (none: all), and whether real messages may be sent."""

    mailboxes: tuple[str, ...] = ()
    send: bool = False


class Examines(Protocol):
    """Whoever examines: `service.rounds`."""

    @property
    def mailboxes(self) -> Sequence[str]:
        """The addresses there are."""
        ...

    def __call__(self, addresses: Sequence[str], *, send: bool) -> Awaitable[dict[str, Any]]:
        """The report, as JSON says it."""
        ...


def add_doctor(api: Api, examine: Examines) -> None:
    """Register the endpoint."""
    api.post("/doctor", Wanted, _endpoint(examine))


def _endpoint(examine: Examines) -> Callable[[Wanted, Caller], Awaitable[Any]]:
    async def endpoint(wanted: Wanted, _caller: Caller) -> Any:
        known = {address.casefold() for address in examine.mailboxes}
        for address in wanted.mailboxes:
            if address.casefold() not in known:
                raise Refusal(
                    404,
                    f"There is no mailbox {address}.",
                    f"There are: {', '.join(examine.mailboxes) or 'none'}.",
                    "Name one of them, or none for all.",
                )
        return await examine(wanted.mailboxes, send=wanted.send)

    return endpoint
