"""Listeners: from an endpoint of the settings to connections, and back to silence.

A listener that cannot be bound stops the start, in words. A stop closes the ports, says 421 4.3.2
to every client without a message in hand, waits `shutdown_timeout` for the others, and then aborts
them.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.python.failure import Failure

from m365gw.edge.listening.entrance import SessionFactory
from m365gw.edge.session.doorway import Doorway


class ListenFailed(Exception):
    """A listener could not be bound; the text says which, why, and what to do."""


class ListenerService(Service):
    """One listener of the settings: bound at start (as root, where twistd is), drained at stop."""

    def __init__(self, reactor: Any, doorway: Doorway, factory: SessionFactory) -> None:
        self._reactor = reactor
        self._listener = doorway.listener
        self._timeout = doorway.limits.shutdown_timeout
        self._factory = factory
        self.port: IListeningPort | None = None

    @property
    def clients(self) -> int:
        """How many are connected."""
        return self._factory.clients

    def renew(self, doorway: Doorway) -> None:
        """Take new limits and rules for the same listener. Its socket and its sessions stay."""
        self._timeout = doorway.limits.shutdown_timeout
        self._factory.renew(doorway)

    def take_over(self, other: ListenerService) -> None:
        """Start on the socket of another one, which is left with its sessions."""
        self.port, other.port = other.port, None
        port: Any = self.port  # every port of Twisted's asks its factory for protocols
        port.factory = self._factory
        self._factory.doStart()  # type: ignore[no-untyped-call]  # Twisted's
        other._factory.doStop()  # type: ignore[no-untyped-call]
        self.startService()

    # Twisted's Service and serverFromString carry no annotations.

    def privilegedStartService(self) -> None:
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._listen()

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        if self.port is None:
            self._listen()

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        port, self.port = self.port, None
        if port is not None:
            await defer.maybeDeferred(port.stopListening)
        too_late = self._reactor.callLater(self._timeout, self._factory.abort)
        await self._factory.drain()
        if too_late.active():
            too_late.cancel()

    def _listen(self) -> None:
        """Bind now; raises ListenFailed, so that a service without its port does not start."""
        place, failures = self._listener.endpoint, list[Failure]()

        def bind() -> Deferred[IListeningPort]:
            endpoint = serverFromString(self._reactor, place)  # type: ignore[no-untyped-call]
            return endpoint.listen(self._factory)  # type: ignore[no-any-return]

        defer.maybeDeferred(bind).addCallbacks(self._bound, failures.append)
        if failures:
            raise ListenFailed(
                f'Listener "{self._listener.name}" cannot listen on {place}: '
                f"{failures[0].getErrorMessage().rstrip('.')}. {_remedy(place)}"
            ) from failures[0].value

    def _bound(self, port: IListeningPort) -> None:
        self.port = port


def _remedy(place: str) -> str:
    if place.startswith("systemd:"):
        return (
            "systemd handed over no such socket. Start the service by its socket unit; index "
            "counts the sockets there from 0, name is its FileDescriptorName"
        )
    if place.startswith("unix:"):
        return "Is the folder there, and may the service's user write to it?"
    return (
        "Is another program on that port, or is it below 1024 and needs root "
        "(or CAP_NET_BIND_SERVICE)?"
    )
