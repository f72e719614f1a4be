"""Talks to a session as a client does, without a socket: octets in, replies out, time in hand."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, execute
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.limits import Limits
from m365gw.config.logins import Logins
from m365gw.config.settings import Client, Listener, Network
from m365gw.edge.admission.admission import Admission
from m365gw.edge.listening.census import Census
from m365gw.edge.listening.entrance import SessionFactory
from m365gw.edge.login.authentication import Authenticator
from m365gw.edge.receiving.commit import GroupCommit
from m365gw.edge.receiving.intake import Intake
from m365gw.edge.session.doorway import Doorway
from m365gw.edge.session.pump import Pump
from m365gw.events import EventLog
from m365gw.smtp.envelope import Envelope
from m365gw.spool.draft import Draft
from m365gw.spool.names import Entry
from m365gw.spool.round import Result
from m365gw.spool.spool import Spool

HOST = "192.0.2.7"
TRUSTED = Network(cidr="192.0.2.0/24", senders=("*@example.com",), mailbox="relay@example.com")
OPEN = Listener(name="test", endpoint="tcp:0", tls="none", auth="off", networks=("192.0.2.0/24",))
MESSAGE = b"Subject: test\r\n\r\nHello.\r\n"
START = 1_800_000_000.0


class Wire(StringTransport):
    """A transport in memory that remembers how it was closed and when TLS began."""

    def __init__(self, host: str = HOST) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", host, 4025))
        self.protocol: Any = None
        self.writes = 0
        self.tls_with: object = None
        self.tls_input = b""
        self._takes_tls = False
        self._inside: Any = None

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)

    def startTLS(self, context: object) -> None:
        self.tls_with = context
        if self._takes_tls:
            self._inside, self.protocol = self.protocol, self

    def take_tls(self) -> None:
        """What comes once TLS has begun is kept, as no handshake is made here."""
        self._takes_tls = True

    def dataReceived(self, data: bytes) -> None:
        """TLS takes what was read behind that which made it begin."""
        self.tls_input += data
        self.protocol = self._inside

    def getHandle(self) -> Any:
        return self

    def get_protocol_version_name(self) -> str:
        return "TLSv1.3"

    def get_cipher_name(self) -> str:
        return "TLS_AES_256_GCM_SHA384"

    @property
    def is_closing(self) -> bool:
        return bool(self.disconnecting or self.disconnected)


class Certificate:
    """Stands for the gateway's certificates; a handshake never happens here."""

    def __init__(self) -> None:
        self.legacy = object()


class Thread:
    """A thread that runs when it is told to, or (the default) at once."""

    def __init__(self) -> None:
        self.is_stalled = False
        self._waiting: list[tuple[Deferred[Any], Callable[..., Any], Sequence[Any]]] = []

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        if not self.is_stalled:
            return execute(function, *arguments)
        result: Deferred[Any] = Deferred()
        self._waiting.append((result, function, arguments))
        return result

    def run(self) -> None:
        """Do what waits now, and none of what that brings."""
        waiting, self._waiting = self._waiting, []
        for result, function, arguments in waiting:
            execute(function, *arguments).chainDeferred(result)


class Gateway:
    """The edge of a gateway with a real spool in a folder of the test's own."""

    def __init__(
        self,
        case: SynchronousTestCase,
        *,
        listener: Listener = OPEN,
        limits: Limits | None = None,
        clients: Sequence[Client] = (),
        networks: Sequence[Network] = (TRUSTED,),
        logins: Logins | None = None,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.output = io.StringIO()
        self.log = EventLog(self.output, hostname="gw", level="debug")
        self.spool = Spool.open(case.mktemp(), hostname="gw.example.com")
        case.addCleanup(self.spool.close)
        self.disk = Thread()
        self.hashing = Thread()
        self.repairs = Thread()
        self.uses: list[tuple[str, str, str]] = []  # login, stored hash, address
        self.accepted: list[Entry] = []
        limits = limits or Limits(minimal_free_space=0)
        logins = logins or Logins()
        self.commit = GroupCommit(self._commit)
        self.doorway = Doorway(
            listener=listener,
            hostname="gw.example.com",
            limits=limits,
            admission=Admission(clients, networks, self.clock.seconds),
            authenticator=Authenticator(
                clients, logins, self.clock, self.hashing, lambda *use: self.uses.append(use)
            ),
            intake=Intake(
                spool=self.spool,
                commit=self.commit,
                limits=limits,
                hostname="gw.example.com",
                clock=self.clock,
                in_thread=self.repairs,
                log=self.log,
            ),
            log=self.log,
        )
        self.census = Census(limits, self.clock)
        self.certificate = Certificate()
        self.factory = SessionFactory(
            self.doorway,
            self.census,
            self.clock,
            self.certificate,
        )

    def _commit(self, drafts: Sequence[Draft]) -> Deferred[list[Result]]:
        def note(results: list[Result]) -> list[Result]:
            self.accepted += [result for result in results if isinstance(result, Entry)]
            return results

        return self.disk(self.spool.commit, drafts).addCallback(note)

    def connect(self, host: str = HOST) -> Conversation:
        """A new connection, with its greeting read."""
        return Conversation(self, host)

    def messages(self) -> list[tuple[Envelope, bytes]]:
        """Envelope and octets of each message in the spool, oldest first."""
        found = []
        for entry in sorted(self.spool.entries(), key=lambda entry: entry.id):
            message = self.spool.claim(entry)
            found.append((message.envelope, message.read(0, message.size)))
            message.close()
        return found

    def contents(self) -> list[bytes]:
        """The octets of each message behind our own trace field."""
        return [without_trace(octets) for _, octets in self.messages()]


class Conversation:
    """One connection. Replies come back as the lines they were, without CRLF."""

    def __init__(self, gateway: Gateway, host: str = HOST) -> None:
        self.gateway = gateway
        self.wire = Wire(host)
        self.wire.protocol = gateway.factory.buildProtocol(self.wire.getPeer())
        self.protocol.makeConnection(self.wire)
        self.greeting = self.heard()

    @property
    def protocol(self) -> Any:
        """Whom the transport speaks to: something that waits for a header, the pump, ..."""
        return self.wire.protocol

    @property
    def pump(self) -> Pump:
        """The connection's own, once what comes before it is over."""
        assert isinstance(self.protocol, Pump)
        return self.protocol

    def send(self, octets: bytes) -> list[str]:
        """Octets as they are; the replies that came at once."""
        self.protocol.dataReceived(octets)
        return self.heard()

    def say(self, *lines: str) -> list[str]:
        """Lines in one segment; the replies that came at once."""
        return self.send("".join(f"{line}\r\n" for line in lines).encode())

    def heard(self) -> list[str]:
        """What the server said since it was last asked."""
        said = self.wire.value().decode("ascii")
        self.wire.clear()
        return said.splitlines()

    def codes(self) -> list[str]:
        """The codes of what the server said since it was last asked."""
        return [line[:3] for line in self.heard()]

    def envelope(self, *recipients: str) -> list[str]:
        """Greet and give an envelope, up to the point where DATA may follow."""
        lines = [f"RCPT TO:<{each}>" for each in recipients or ("you@example.net",)]
        return self.say("EHLO client.example.com", "MAIL FROM:<me@example.com>", *lines)

    def message(self, content: bytes = MESSAGE) -> list[str]:
        """Send a whole message; the reply to its end."""
        self.envelope()
        self.say("DATA")
        return self.send(content + b".\r\n")

    def drop(self) -> None:
        """The connection is lost."""
        self.protocol.connectionLost(Failure(ConnectionLost()))


def without_trace(octets: bytes) -> bytes:
    """A message without its first header field, which is ours."""
    lines = octets.split(b"\r\n")
    rest = 1
    while lines[rest][:1] in (b" ", b"\t"):
        rest += 1
    assert lines[0].startswith(b"Received: "), lines[0]
    return b"\r\n".join(lines[rest:])
