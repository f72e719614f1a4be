"""What there is beside the configuration, in the API, and orders to change it: the registry.

`POST /mailboxes/add` and its like take the values as the configuration file has them. An order
that makes no sense changes nothing, and is answered with 422 and every problem; one that cannot be
kept now with 503. What was changed holds when the answer comes. Who did it is in the audit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

import attrs

from m365gw.admin import answers
from m365gw.admin.api import Api
from m365gw.admin.http import Caller
from m365gw.admin.refusal import Refusal
from m365gw.directory.database import DirectoryError
from m365gw.directory.facts import Facts
from m365gw.directory.orders import ORDERS, Answer, Order
from m365gw.directory.registry import Rejected
from m365gw.directory.vault import VaultError

Rows = list[dict[str, Any]]


class Desk(Protocol):
    """The registry of the running service: `service.registry_desk.RegistryDesk`."""

    async def mailboxes(self) -> Rows: ...

    def clients(self) -> Rows: ...

    def networks(self) -> Rows: ...

    def facts(self) -> Facts: ...

    def listeners(self) -> Rows: ...

    def single_settings(self) -> Rows: ...

    async def carry_out(self, order: Order, by: str) -> Answer: ...


def add_registry(api: Api, desk: Desk) -> None:
    """Register the endpoints."""
    api.get("/mailboxes", desk.mailboxes, list[answers.Mailbox])
    api.get("/clients", desk.clients, list[answers.Client])
    api.get("/networks", desk.networks, list[answers.Network])
    api.get("/listeners", desk.listeners, list[answers.Listener])
    api.get("/settings", desk.single_settings, list[answers.Setting])
    for path, kind in ORDERS.items():
        api.post(path, kind, partial(_carried_out, desk.carry_out), answers.Changed)


async def _carried_out(
    carry_out: Callable[[Order, str], Awaitable[Answer]], order: Order, caller: Caller
) -> Answer:
    try:
        return await carry_out(order, caller.name)
    except Rejected as rejected:
        raise refusal_of(rejected) from None
    except (DirectoryError, VaultError) as error:
        raise Refusal(503, "The change was not made.", str(error)) from None


def refusal_of(rejected: Rejected) -> Refusal:
    """A change that makes no sense, with each of its problems."""
    return Refusal(
        422,
        "The change was not made.",
        " ".join(f"{problem.place}: {problem.fault}." for problem in rejected.problems),
        " ".join(filter(None, (problem.remedy for problem in rejected.problems))),
        problems=[attrs.asdict(problem) for problem in rejected.problems],
    )
