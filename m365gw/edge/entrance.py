"""The entrance of a listener: from a connection to a session, or to the door.

A connection too many gets 421 4.7.0, one that comes while the disk cannot be trusted 421 4.3.0, and
is closed; where TLS comes first it is closed without words, as words would cost a handshake.
Load balancers are let in without being counted; the clients they bring are.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IOpenSSLServerConnectionCreator,
    IReactorTime,
)

from m365gw.edge import answers
from m365gw.edge.admission import IpAddress, Visitor
from m365gw.edge.arrival import Arrival, AwaitHeader, AwaitTls, BeginTls
from m365gw.edge.caller import Caller, caller_at, introduced, must_introduce
from m365gw.edge.census import Census
from m365gw.edge.certificates import ServerCertificate
from m365gw.edge.doorway import Doorway, Peer
from m365gw.edge.pump import Pump, Surroundings
from m365gw.edge.session import Session
from m365gw.smtp.proxy import Header
from m365gw.smtp.replies import Reply, render

SAME_FAULT_AGAIN: Final = 60.0  # seconds until the same fault of a load balancer is told again
_HEADER_REMEDY: Final = (
    "The listener has proxy_from, so this address must send one (HAProxy: send-proxy-v2, for its "
    "health checks check-send-proxy). Set it there, or take the address out of proxy_from"
)


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
        self._here: dict[Pump | Arrival, Caller | None] = {}
        self._empty: list[Deferred[None]] = []
        self._told: dict[tuple[IpAddress | None, str], float] = {}  # when a fault was told last

    def buildProtocol(self, addr: IAddress | None) -> protocol.Protocol:
        caller = caller_at(addr)
        if not must_introduce(self._listener, caller):
            return self._admit(caller)

        def met(arrival: AwaitHeader, header: Header) -> protocol.Protocol:
            del self._here[arrival]
            return self._admit(introduced(header, caller, self._listener))

        def failed(words: str) -> None:
            self._tell_once(caller, words)

        seconds = self._doorway.limits.proxy_timeout
        arrival = AwaitHeader(self._clock, seconds, self._closed, met, failed)
        self._here[arrival] = None
        return arrival

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
        reply = self._reason_against(caller.address)
        if reply is not None:
            self._refused(caller, str(reply))
            return Farewell(reply, is_implicit_tls=tls == "implicit")
        if tls != "auto" or caller.tls:
            return self._begin(caller, is_implicit_tls=tls == "implicit")

        def seen(arrival: AwaitTls, is_tls: bool) -> protocol.Protocol:
            del self._here[arrival]
            return self._begin(caller, is_implicit_tls=is_tls)

        arrival = AwaitTls(self._clock, self._doorway.limits.tls_wait, self._closed, seen)
        self._here[arrival] = caller
        return arrival

    def _reason_against(self, address: IpAddress | None) -> Reply | None:
        """Why a client may not come in; None when it may, and then it is counted."""
        if not self._doorway.intake.is_open:
            return answers.CANNOT_STORE
        denied = self._census.enter(address)
        return None if denied is None else denied.reply

    def _begin(self, caller: Caller, *, is_implicit_tls: bool) -> protocol.Protocol:
        """The pump of a client that is counted, behind TLS where that comes first."""
        certificate = self._certificate_for(caller)
        pump = Pump(
            Surroundings(
                speaker=self._session,
                limits=self._doorway.limits,
                clock=self._clock,
                is_implicit_tls=is_implicit_tls,
                certificate=certificate,
                closed=self._closed,
            )
        )
        pump.factory = self
        self._here[pump] = caller
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
        caller = self._here[pump]
        assert caller is not None
        tls = _tls_words(pump.transport.getHandle()) if pump.is_secure else caller.tls
        host = str(caller.address or "")
        facts = {"client": caller.name, **caller.told}
        peer = Peer(host=host, port=caller.port, tls=tls, facts=facts)
        return Session(self._doorway, pump, peer, Visitor(self._listener, caller.address))

    def _closed(self, connection: Pump | Arrival) -> None:
        caller = self._here.pop(connection)
        if caller is not None:
            self._census.leave(caller.address)
        if not self._here:
            empty, self._empty = self._empty, []
            for done in empty:
                done.callback(None)

    def _tell_once(self, balancer: Caller, words: str) -> None:
        """A balancer makes the same fault with each connection: once a minute is enough."""
        key, now = (balancer.address, words), self._clock.seconds()
        if now >= self._told.get(key, now):
            self._told[key] = now + SAME_FAULT_AGAIN
            self._refused(balancer, f"{words}. {_HEADER_REMEDY}")

    def _refused(self, caller: Caller, words: str) -> None:
        facts = {"client": caller.name, **caller.told}
        self._doorway.log.emit("client.refused", "smtpd", level="warn", note=words, **facts)


def _tls_words(connection: Any) -> str:
    """Version and cipher of a TLS connection, as trace fields show them."""
    return f"{connection.get_protocol_version_name()} {connection.get_cipher_name()}"
