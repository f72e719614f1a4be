"""Changes that people make at /me: one at a time, so that each sees what there is.

Failures: what the change raises; what the registry rejects becomes a `Refusal`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, Protocol, TypeVar

from twisted.internet.defer import DeferredLock

from m365gw.admin.refusal import Refusal
from m365gw.directory.orders import Order
from m365gw.directory.registry import Rejected

P = ParamSpec("P")
T = TypeVar("T")
Row = dict[str, Any]


class Registry(Protocol):
    """The registry of the running service: `service.registry_desk.RegistryDesk`."""

    def clients(self) -> list[Row]: ...

    async def carry_out(self, order: Order, by: str) -> dict[str, Any]: ...


class Changes:
    """Takes changes in turn."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._turn = DeferredLock()

    def clients(self) -> list[Row]:
        """All SMTP logins, as the API lists them."""
        return self._registry.clients()

    async def in_turn(
        self, change: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The result of a change, made when no other one is under way."""
        await self._turn.acquire()
        try:
            return await change(*args, **kwargs)
        finally:
            self._turn.release()

    async def carry_out(self, order: Order, by: str) -> None:
        """Write it, audited, and have the gateway go on with it. Raises `Refusal`."""
        try:
            await self._registry.carry_out(order, by)
        except Rejected as rejected:
            why = " ".join(f"{problem.fault}." for problem in rejected.problems)
            fix = "Ask whoever runs the mail gateway."
            raise Refusal(409, "Nothing was changed.", why, fix) from None
