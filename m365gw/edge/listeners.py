"""Listeners: from an endpoint of the settings to sessions, and back to silence.

A listener that cannot be bound stops the start, in words. A connection too many gets 421 4.7.0,
one that comes while the disk cannot be trusted 421 4.3.0, and is closed; where TLS comes first it
is closed without words, as words would cost a handshake.
A stop closes the ports, says 421 4.3.2 to every client without a message in hand, waits
`shutdown_timeout` for the others, and then aborts them.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet import defer, protocol
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from m365gw.edge import answers
from m365gw.edge.admission import IpAddress, Visitor, ip_address
from m365gw.edge.census import Census
from m365gw.edge.doorway import Doorway, Peer
from m365gw.edge.pump import Pump, Surroundings
from m365gw.edge.session import Session
from m365gw.smtp.replies import Reply, render


class ListenFailed(Exception):
    """A listener could not be bound; the text says which, why, and what to do."""


class Farewell(protocol.Protocol):
    """A connection that is closed at once, with a reply where the client can read one."""

    transport: Any

    def __init__(self, reply: Reply, *, is_implicit_tls: bool) -> None:
        self._reply = reply
        self._is_implicit_tls = is_implicit_tls

    def connectionMade(self) -> None:
        if self._is_implicit_tls:
            self.transport.abortConnection()
        else:
            self.transport.write(render(self._reply))
            self.transport.loseConnection()


class SessionFactory(protocol.Factory):
    """Makes a pump and its sessions for each connection of one listener."""

    noisy = False

    def __init__(
        self,
        doorway: Doorway,
        census: Census,
        clock: IReactorTime,
        certificate: IOpenSSLServerConnectionCreator | None,
    ) -> None:
        """`certificate` is needed for every `tls` but "none"."""
        self._doorway = doorway
        self._census = census
        self._clock = clock
        self.certificate = certificate
        self._pumps: dict[Pump, IpAddress | None] = {}
        self._empty: list[Deferred[None]] = []

    @property
    def is_implicit_tls(self) -> bool:
        return self._doorway.listener.tls == "implicit"

    def buildProtocol(self, addr: IAddress | None) -> Pump | Farewell:
        address = ip_address(getattr(addr, "host", ""))
        farewell = self._farewell(address)
        if farewell is not None:
            self._doorway.log.emit(
                "client.refused",
                "smtpd",
                level="warn",
                note=str(farewell),
                client=f"unknown[{address or 'unix'}]",
            )
            return Farewell(farewell, is_implicit_tls=self.is_implicit_tls)
        pump = Pump(
            Surroundings(
                speaker=self._session,
                limits=self._doorway.limits,
                clock=self._clock,
                is_implicit_tls=self.is_implicit_tls,
                certificate=self.certificate,
                closed=self._closed,
            )
        )
        pump.factory = self
        self._pumps[pump] = address
        return pump

    def _farewell(self, address: IpAddress | None) -> Reply | None:
        """Why a client may not come in; None when it may, and then it is counted."""
        if not self._doorway.intake.is_open:
            return answers.CANNOT_STORE
        denied = self._census.enter(address)
        return None if denied is None else denied.reply

    def drain(self) -> Deferred[None]:
        """Ask every client to leave; fires when all have."""
        for pump in list(self._pumps):
            pump.drain()
        done: Deferred[None] = Deferred()
        if self._pumps:
            self._empty.append(done)
        else:
            done.callback(None)
        return done

    def abort(self) -> None:
        """Close what is still open."""
        for pump in list(self._pumps):
            pump.abort()

    def _session(self, pump: Pump) -> Session:
        address = self._pumps[pump]
        peer = Peer(
            host=str(address or ""),
            port=getattr(pump.transport.getPeer(), "port", 0),
            tls=_tls_words(pump.transport.getHandle()) if pump.is_secure else "",
        )
        return Session(self._doorway, pump, peer, Visitor(self._doorway.listener, address))

    def _closed(self, pump: Pump) -> None:
        self._census.leave(self._pumps.pop(pump))
        if not self._pumps:
            empty, self._empty = self._empty, []
            for done in empty:
                done.callback(None)


class ListenerService(Service):
    """One listener of the settings: bound at start (as root, where twistd is), drained at stop."""

    def __init__(self, reactor: Any, doorway: Doorway, factory: SessionFactory) -> None:
        self._reactor = reactor
        self._listener = doorway.listener
        self._timeout = doorway.limits.shutdown_timeout
        self._factory = factory
        self.port: IListeningPort | None = None

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
        factory: IProtocolFactory = self._factory
        if self._factory.is_implicit_tls:
            assert self._factory.certificate is not None
            factory = TLSMemoryBIOFactory(
                self._factory.certificate, False, self._factory, self._reactor
            )
        failures: list[Failure] = []
        endpoint = serverFromString(  # type: ignore[no-untyped-call]
            self._reactor, self._listener.endpoint
        )
        endpoint.listen(factory).addCallbacks(self._bound, failures.append)
        if failures:
            name, place = self._listener.name, self._listener.endpoint
            raise ListenFailed(
                f'Listener "{name}" cannot listen on {place}: {failures[0].getErrorMessage()} '
                "Is another program on that port, or is it below 1024 and needs root "
                "(or CAP_NET_BIND_SERVICE)?"
            ) from failures[0].value

    def _bound(self, port: IListeningPort) -> None:
        self.port = port


def _tls_words(connection: Any) -> str:
    """Version and cipher of a TLS connection, as trace fields show them."""
    return f"{connection.get_protocol_version_name()} {connection.get_cipher_name()}"
