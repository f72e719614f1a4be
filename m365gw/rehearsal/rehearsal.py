"""A whole rehearsal: pretend Entra, Exchange, Graph and MX, and the controls, on loopback ports.

rehearsal = Rehearsal(Path("demo/rehearsal"))
await rehearsal.start()
print(rehearsal.settings_toml())
await rehearsal.stop()
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from attrs import astuple, frozen
from cryptography import x509
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.protocols.policies import WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.resource import Resource
from twisted.web.server import Site

from m365gw.rehearsal.certificates import CertificateFiles, write_certificates
from m365gw.rehearsal.control import ControlPages
from m365gw.rehearsal.device import DeviceCodes
from m365gw.rehearsal.entra import Entra
from m365gw.rehearsal.exchange import Exchange
from m365gw.rehearsal.faults import Faults
from m365gw.rehearsal.graph import Graph
from m365gw.rehearsal.graph_pages import Front, GraphPages
from m365gw.rehearsal.identity import IdentityPages
from m365gw.rehearsal.limits import Limits, Meters
from m365gw.rehearsal.middlebox import Certificates, Middlebox
from m365gw.rehearsal.mx import AskingCertificates, MxSession, TenantHost
from m365gw.rehearsal.pages import SignInPages
from m365gw.rehearsal.props import TokenFile
from m365gw.rehearsal.record import Record
from m365gw.rehearsal.settings_text import settings_text
from m365gw.rehearsal.submission import SubmissionSession
from m365gw.rehearsal.tenant import APP_ID, Tenant, default_tenant
from m365gw.rehearsal.tokens import Tokens

log = Logger(namespace="m365gw.rehearsal")


class SubmissionFactory(Factory):
    """Opens a session for each connection."""

    noisy = False

    def __init__(
        self,
        exchange: Exchange,
        context_factory: Any,
        session: type[SubmissionSession] = SubmissionSession,
    ) -> None:
        self.exchange = exchange
        self.session = session
        self.context_factory = context_factory
        self.sessions: set[SubmissionSession] = set()
        self.connections = 0

    def buildProtocol(self, addr: object) -> SubmissionSession:
        self.connections += 1
        session = self.session(self.connections, self)
        self.sessions.add(session)
        return session


@frozen
class Ports:
    """Where to listen; 0 is any free port."""

    smtp: int = 0
    https: int = 0
    control: int = 0
    mx: int = 0


class Rehearsal:
    """The pretend Microsoft 365. Everything of it may be looked at and changed while it runs."""

    def __init__(
        self,
        folder: Path,
        tenant: Tenant | None = None,
        reactor: Any = None,
        *,
        interface: str = "127.0.0.1",
        ports: Ports = Ports(),
        limits: Limits | None = None,
        record: Record | None = None,
    ) -> None:
        """`folder` gets the certificates. ValueError: not loopback."""
        if not ipaddress.ip_address(interface).is_loopback:
            raise ValueError(f"a rehearsal listens on loopback only, not on {interface}")
        if reactor is None:
            from twisted.internet import reactor
        self._reactor = reactor
        self._interface = interface
        self._wanted = ports
        self._listening: list[IListeningPort] = []
        self._wrapping: tuple[WrappingFactory[Any], ...] = ()
        self.tenant = tenant or default_tenant()
        self.limits = limits or Limits()
        self.faults = Faults()
        self.record = record or Record()
        self.middlebox = Middlebox()
        self.tokens = Tokens(self.tenant, reactor, self.middlebox)
        self.devices = DeviceCodes(self.tenant, reactor)
        self.meters = Meters(self.limits, reactor)
        self.folder = folder
        self.certificates: CertificateFiles = write_certificates(folder)
        self.token_file = TokenFile(folder, self.tenant, reactor)
        self.entra = Entra(
            tenant=self.tenant,
            tokens=self.tokens,
            devices=self.devices,
            clock=reactor,
            middlebox=self.middlebox,
        )
        self.exchange = Exchange(
            tenant=self.tenant,
            tokens=self.tokens,
            limits=self.limits,
            meters=self.meters,
            faults=self.faults,
            record=self.record,
            clock=reactor,
            middlebox=self.middlebox,
        )
        self.graph = Graph(exchange=self.exchange)
        self._context_factory = Certificates(self.certificates, self.middlebox)
        self.submission = SubmissionFactory(self.exchange, self._context_factory)
        self.mx = SubmissionFactory(
            self._tenant_host(), AskingCertificates(self.certificates, self.middlebox), MxSession
        )

    def _tenant_host(self) -> TenantHost:
        """Whom connectors hand mail to. The limits are those of mailboxes, so it has none."""
        return TenantHost(
            tenant=self.tenant,
            tokens=self.tokens,
            limits=Limits.off(),
            meters=Meters(Limits.off(), self._reactor),
            faults=self.faults,
            record=self.record,
            clock=self._reactor,
            middlebox=self.middlebox,
            authority=x509.load_pem_x509_certificate(self.certificates.authority.read_bytes()),
        )

    async def start(self) -> None:
        """Listens. CannotListenError: a port is taken; then nothing listens."""
        pages = TLSMemoryBIOFactory(
            self._context_factory,
            False,
            _site(Front(SignInPages(self.entra, self.faults), GraphPages(self.graph))),
            self._reactor,
        )
        wrapping: Any = WrappingFactory  # has no types
        root: Any = Resource()  # type: ignore[no-untyped-call]  # Twisted has no types here
        root.putChild(b"rehearsal", ControlPages(self))
        for place in (b"metadata", b"msi"):
            root.putChild(place, IdentityPages(self.entra, self.faults))
        control = wrapping(_site(root))
        self._wrapping = (pages, control)
        factories: tuple[IProtocolFactory, ...] = (self.submission, pages, control, self.mx)
        try:
            for port, factory in zip(astuple(self._wanted), factories, strict=True):
                self._listening.append(
                    self._reactor.listenTCP(port, factory, interface=self._interface)
                )
        except BaseException:
            await self.stop()
            raise
        if APP_ID in self.tenant.apps:
            self.token_file.start()
        self.entra.base = f"https://{self.host}:{self.https_port}"
        log.info(
            "rehearsal: a pretend Microsoft 365 (not Microsoft) listens: {ports}",
            ports=", ".join(f"{name} on {port}" for name, port in self.ports().items()),
        )

    async def stop(self) -> None:
        """Stops listening and cuts all connections; returns when none is left."""
        self.token_file.stop()
        ports, self._listening = self._listening, []
        for port in ports:
            await _done(port.stopListening())
        while connections := self._connections():
            for connection in connections:
                connection.abortConnection()
            await deferLater(self._reactor, 0.0)

    def _connections(self) -> list[Any]:
        web = [each for factory in self._wrapping for each in factory.protocols]
        mail = (*self.submission.sessions, *self.mx.sessions)
        return web + [session.transport for session in mail]

    @property
    def host(self) -> str:
        """The address as it stands in URLs."""
        return f"[{self._interface}]" if ":" in self._interface else self._interface

    def _port(self, place: int) -> int:
        if not self._listening:
            return 0
        address: Any = self._listening[place].getHost()
        return int(address.port)

    @property
    def smtp_port(self) -> int:
        return self._port(0)

    @property
    def https_port(self) -> int:
        return self._port(1)

    @property
    def control_port(self) -> int:
        return self._port(2)

    @property
    def mx_port(self) -> int:
        return self._port(3)

    def ports(self) -> dict[str, int]:
        """Where it listens: smtp, https, control and mx."""
        return dict(zip(("smtp", "https", "control", "mx"), map(self._port, range(4)), strict=True))

    @property
    def authority(self) -> str:
        """The sign-in authority of the tenant."""
        return f"https://{self.host}:{self.https_port}/{self.tenant.tenant_id}"

    def settings_toml(self) -> str:
        """What a gateway that is to use this rehearsal needs in its configuration."""
        return settings_text(self)


def _site(pages: Resource) -> Site:
    site = Site(pages)  # type: ignore[no-untyped-call]  # Twisted has no types here
    site.noisy = False
    return site


async def _done(result: Any) -> None:
    if isinstance(result, Deferred):
        await result
