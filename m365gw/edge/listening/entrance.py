"""The entrance of a listener: from a connection to a session, or to the door.

A connection too many gets 421 4.7.0, one that comes while the disk cannot be trusted 421 4.3.0, and
is closed; where TLS comes first it is closed without words, as words would cost a handshake. The
log is told of each kind once a minute. Load balancers are let in without being counted; the clients
they bring are.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

from attrs import evolve, frozen
from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IOpenSSLServerConnectionCreator,
    IReactorTime,
)

from m365gw.edge.admission.admission import Visitor
from m365gw.edge.listening.arrival import Arrival, AwaitHeader, AwaitTls, BeginTls
from m365gw.edge.listening.caller import Caller, caller_at, introduced, must_introduce
from m365gw.edge.listening.census import Census, Stay
from m365gw.edge.listening.certificates import ServerCertificate
from m365gw.edge.session import answers
from m365gw.edge.session.doorway import Doorway, Peer
from m365gw.edge.session.pump import Pump, Surroundings
from m365gw.edge.session.seldom import Seldom
from m365gw.edge.session.session import Session
from m365gw.smtp.proxy import Header
from m365gw.smtp.replies import Reply, render

_HEADER_REMEDY: Final = (
    "The listener has proxy_from, so this address must send one (HAProxy: send-proxy-v2, for its "
    "health checks check-send-proxy). Set it there, or take the address out of proxy_from"
)


@frozen
class Guest:
    """A client that was let in."""

    caller: Caller
    stay: Stay
    is_implicit_tls: bool = False


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
        certificate: ServerCertificate | None,
    ) -> None:
        """`certificate` is needed for every `tls` but "none"."""
        self._doorway = doorway
        self._listener = doorway.listener
        self._census = census
        self._clock = clock
        self.certificate = certificate
        # Who is here. A load balancer that has not said whom it brings is nobody yet.
        self._here: dict[Pump | Arrival, Guest | None] = {}
        self._empty: list[Deferred[None]] = []
        self._seldom = Seldom(doorway.log, clock)

    def buildProtocol(self, addr: IAddress | None) -> protocol.Protocol:
        caller = caller_at(addr)
        if not must_introduce(self._listener, caller):
            return self._admit(caller)

        def met(arrival: AwaitHeader, header: Header) -> protocol.Protocol:
            del self._here[arrival]
            return self._admit(introduced(header, caller, self._listener))

        def failed(words: str) -> None:
            kind = (caller.address, words)
            self._tell(kind, caller, f"{words}. {_HEADER_REMEDY}")

        seconds = self._doorway.limits.proxy_timeout
        arrival = AwaitHeader(self._clock, seconds, self._closed, met, failed)
        self._here[arrival] = None
        return arrival

    @property
    def clients(self) -> int:
        """How many are here; a load balancer that has not said whom it brings is nobody."""
        return sum(guest is not None for guest in self._here.values())

    def renew(self, doorway: Doorway) -> None:
        """From now on clients come in by this doorway; who is in keeps what it found."""
        self._doorway = doorway
        self._listener = doorway.listener

    def drain(self) -> Deferred[None]:
        """Ask every client to leave; fires when all have."""
        for connection in list(self._here):
            connection.drain()
        done: Deferred[None] = Deferred()
        if self._here:
            self._empty.append(done)
        else:
            done.callback(None)
        return done

    def abort(self) -> None:
        """Close what is still open."""
        for connection in list(self._here):
            connection.abort()

    def _admit(self, caller: Caller) -> protocol.Protocol:
        """What a client gets: a session, soon a session, or a farewell."""
        tls = self._listener.tls
        stay = self._enter(caller)
        if isinstance(stay, Reply):
            self._tell(stay, caller, str(stay))
            return Farewell(stay, is_implicit_tls=tls == "implicit")
        guest = Guest(caller, stay)
        if tls != "auto" or caller.tls:
            return self._begin(guest, is_implicit_tls=tls == "implicit")

        def seen(arrival: AwaitTls, is_tls: bool) -> protocol.Protocol:
            del self._here[arrival]
            return self._begin(guest, is_implicit_tls=is_tls)

        arrival = AwaitTls(self._clock, self._doorway.limits.tls_wait, self._closed, seen)
        self._here[arrival] = guest
        return arrival

    def _enter(self, caller: Caller) -> Stay | Reply:
        """A client that is counted, or why it may not come in."""
        if not self._doorway.intake.is_open:
            return answers.CANNOT_STORE
        visitor = Visitor(self._listener, caller.address)
        # A load balancer that comes for itself looks after our health.
        is_trusted = visitor.is_in(self._listener.networks) or must_introduce(
            self._listener, caller
        )
        return self._census.enter(caller.address, is_trusted=is_trusted)

    def _begin(self, guest: Guest, *, is_implicit_tls: bool) -> protocol.Protocol:
        """The pump of a client that is counted, behind TLS where that comes first."""
        certificate = self._certificate_for(guest.caller)
        pump = Pump(
            Surroundings(
                speaker=self._session,
                limits=self._doorway.limits,
                clock=self._clock,
                is_implicit_tls=is_implicit_tls,
                certificate=certificate,
                is_pressed=guest.stay.is_pressed,
                closed=self._closed,
            )
        )
        pump.factory = self
        self._here[pump] = evolve(guest, is_implicit_tls=is_implicit_tls)
        if not is_implicit_tls:
            return pump
        assert certificate is not None
        return BeginTls(pump, certificate)

    def _certificate_for(self, caller: Caller) -> IOpenSSLServerConnectionCreator | None:
        """Old TLS is for the networks alone that were named for it."""
        if self.certificate is None:
            return None
        visitor = Visitor(self._listener, caller.address)
        return self.certificate.legacy if visitor.has_quirk("legacy-tls") else self.certificate

    def _session(self, pump: Pump) -> Session:
        guest = self._here[pump]
        assert guest is not None
        caller = guest.caller
        tls = _tls_words(pump.transport.getHandle()) if pump.is_secure else caller.tls
        host = str(caller.address or "")
        facts = {"client": caller.name, **caller.told}
        peer = Peer(host=host, port=caller.port, tls=tls, facts=facts)
        return Session(self._doorway, pump, peer, Visitor(self._listener, caller.address))

    def _closed(self, connection: Pump | Arrival) -> None:
        guest = self._here.pop(connection)
        if guest is not None:
            guest.stay.end()
            tls = _tls_counted(connection, guest)
            self._doorway.log.count("client.left", listener=self._listener.name, tls=tls)
        if not self._here:
            empty, self._empty = self._empty, []
            for done in empty:
                done.callback(None)

    def _tell(self, kind: Hashable, caller: Caller, words: str) -> None:
        """Tell the log why somebody did not come in."""
        facts = {"client": caller.name, **caller.told}
        self._seldom.warn(kind, "client.refused", words, **facts)


def _tls_counted(connection: Pump | Arrival, guest: Guest) -> str:
    """How the connection of a client was secured, as it is counted."""
    if guest.caller.tls:
        return "proxy"
    if isinstance(connection, Arrival) or not connection.is_secure:
        return "none"
    return "implicit" if guest.is_implicit_tls else "starttls"


def _tls_words(connection: Any) -> str:
    """Version and cipher of a TLS connection, as trace fields show them."""
    return f"{connection.get_protocol_version_name()} {connection.get_cipher_name()}"
