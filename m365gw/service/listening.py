"""The listeners of the gateway, and how a set of them becomes another while clients are connected.

A listener that is as before keeps its socket and its sessions. Of one that was changed only the
socket is kept, and of one that was removed nothing: their sessions end with 421 as soon as no
message is in hand. New sockets are bound before anything else is touched, so a port that cannot be
had changes nothing. The first set is taken like any other.

Failures: `ListenFailed` from `prepare`, in words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, DeferredList

from m365gw.config.endpoints import is_fixed
from m365gw.config.settings import Listener
from m365gw.edge.listening.entrance import SessionFactory
from m365gw.edge.listening.listeners import ListenerService, ListenFailed
from m365gw.edge.session.doorway import Doorway
from m365gw.events import EventLog


@frozen
class Prepared:
    """A set of listeners that can be taken without fail."""

    doorways: tuple[Doorway, ...]
    made: dict[Listener, ListenerService]  # those that are new or changed
    bound: tuple[ListenerService, ...]  # those of them that have a socket of their own
    heirs: dict[Listener, Listener]  # the others, and whose socket they take over


class Listening:
    """All listeners. `entrance` makes the factory of one from its doorway."""

    def __init__(
        self, reactor: Any, entrance: Callable[[Doorway], SessionFactory], log: EventLog
    ) -> None:
        self._reactor = reactor
        self._entrance = entrance
        self._log = log
        self._services: dict[Listener, ListenerService] = {}
        self._leaving: set[Deferred[None]] = set()  # of listeners whose sessions are ending

    def prepare(self, doorways: Iterable[Doorway]) -> Prepared:
        """Bind the sockets that are not there yet, all or none. Raises `ListenFailed`.

        What is prepared must be taken or abandoned in the same turn of the reactor, before anybody
        connects.
        """
        doorways = tuple(doorways)
        wanted = {doorway.listener for doorway in doorways}
        free = {_place(old): old for old in self._services if old not in wanted}
        made: dict[Listener, ListenerService] = {}
        heirs: dict[Listener, Listener] = {}
        bound: list[ListenerService] = []
        try:
            for doorway in doorways:
                listener = doorway.listener
                if listener in self._services:
                    continue
                service = ListenerService(self._reactor, doorway, self._entrance(doorway))
                made[listener] = service
                if _place(listener) in free:
                    heirs[listener] = free[_place(listener)]
                else:
                    service.startService()
                    bound.append(service)
        except ListenFailed:
            _stop(bound)
            raise
        return Prepared(doorways, made, tuple(bound), heirs)

    def abandon(self, prepared: Prepared) -> None:
        """Something else has failed: let go of the new sockets."""
        _stop(prepared.bound)

    def take(self, prepared: Prepared) -> None:
        """From now on these are the listeners."""
        for heir, old in prepared.heirs.items():
            prepared.made[heir].take_over(self._services[old])
        before, self._services = self._services, {}
        for doorway in prepared.doorways:
            listener = doorway.listener
            service = prepared.made.get(listener) or before.pop(listener)
            service.renew(doorway)
            self._services[listener] = service
        for service in before.values():
            self._let_leave(service)
        for listener, service in prepared.made.items():
            self._log.emit(
                "listener.ready", "master", note="listening", **_where(listener, service)
            )

    def places(self) -> list[dict[str, str]]:
        """Where it listens: the name of each listener and its address."""
        return [_where(each, service) for each, service in self._services.items() if service.port]

    def clients(self) -> dict[str, int]:
        """How many are connected, by the name of the listener."""
        return {each.name: service.clients for each, service in self._services.items()}

    async def close(self) -> None:
        """Listen no more; returns when all sessions have ended."""
        ending = [service.stopService() for service in self._services.values()]
        await DeferredList([*ending, *self._leaving])

    def _let_leave(self, service: ListenerService) -> None:
        leaving = service.stopService()
        self._leaving.add(leaving)
        leaving.addBoth(lambda _: self._leaving.discard(leaving))


def _stop(services: Iterable[ListenerService]) -> None:
    for service in services:
        service.stopService()


def _place(listener: Listener) -> str:
    """What two listeners share if one can take over the socket of the other."""
    endpoint = listener.endpoint
    return endpoint if is_fixed(endpoint) else f"{listener.name} {endpoint}"


def _where(listener: Listener, service: ListenerService) -> dict[str, str]:
    where: Any = service.port and service.port.getHost()
    is_known = hasattr(where, "host")
    address = f"{where.host}:{where.port}" if is_known else listener.endpoint
    return {"listener": listener.name, "address": address}
