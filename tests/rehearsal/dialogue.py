"""A session of the pretend Exchange without sockets, for the tests of this room."""

from __future__ import annotations

import base64
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from m365gw.rehearsal.exchange import Exchange
from m365gw.rehearsal.faults import Faults
from m365gw.rehearsal.limits import Limits, Meters
from m365gw.rehearsal.record import Record
from m365gw.rehearsal.submission import SubmissionSession
from m365gw.rehearsal.tenant import APP_ID, SMTP_ROLE, Tenant, default_tenant
from m365gw.rehearsal.tokens import Tokens

NOW = 1_795_000_000.0
OFFICE = "https://outlook.office365.com"
RELAY = "relay@contoso.example"
MESSAGE = b"From: relay@contoso.example\r\nSubject: hello\r\n\r\nHello.\r\n"


class Wire(StringTransport):
    """A transport in memory that notes a TLS handshake."""

    secured = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing waits in memory."""

    def startTLS(self, context_factory: Any) -> None:
        """From here on all would be encrypted."""
        self.secured = True

    def getPeer(self) -> Any:
        return type("Peer", (), {"host": "127.0.0.1"})


class Service:
    """A pretend service with a clock of its own; sessions are opened on it."""

    def __init__(self, tenant: Tenant | None = None, limits: Limits | None = None) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.tenant = tenant or default_tenant()
        self.limits = limits or Limits(tarpit_seconds=0.0)
        self.tokens = Tokens(self.tenant, self.clock)
        self.faults = Faults()
        self.record = Record()
        self.exchange = Exchange(
            tenant=self.tenant,
            tokens=self.tokens,
            limits=self.limits,
            meters=Meters(self.limits, self.clock),
            faults=self.faults,
            record=self.record,
            clock=self.clock,
        )
        self.context_factory = object()
        self.sessions: set[Any] = set()

    def token(
        self, user: str = "", audience: str = OFFICE, permissions: tuple[str, ...] = (SMTP_ROLE,)
    ) -> str:
        """An access token of the default app, or of a user."""
        app = self.tenant.apps[APP_ID]
        return self.tokens.issue("rehearsal", app, user, audience, frozenset(permissions))

    def open(self) -> Dialogue:
        """A new connection."""
        return Dialogue(self)

    def signed_in(self, mailbox: str = RELAY) -> Dialogue:
        """A new connection, secured and signed in with the app's token."""
        dialogue = self.open().secure()
        answer = dialogue.sign_in(mailbox, self.token())
        assert answer.startswith("235"), answer
        return dialogue


class Dialogue:
    """One connection, from the client's side."""

    def __init__(self, service: Service) -> None:
        self.wire = Wire()
        self.session = SubmissionSession(len(service.sessions) + 1, service)
        service.sessions.add(self.session)
        self.session.makeConnection(self.wire)

    def heard(self) -> str:
        """What the server has said since the last time."""
        text = self.wire.value().decode()
        self.wire.clear()
        return text

    def send(self, octets: bytes) -> str:
        """Sends octets; what the server says to them."""
        self.heard()
        self.session.dataReceived(octets)
        return self.heard()

    def say(self, line: str) -> str:
        """Sends a line; what the server says to it."""
        return self.send(line.encode() + b"\r\n")

    def secure(self) -> Dialogue:
        """EHLO, STARTTLS, EHLO."""
        self.say("EHLO gateway.example")
        self.say("STARTTLS")
        self.say("EHLO gateway.example")
        return self

    def sign_in(self, mailbox: str, token: str) -> str:
        """AUTH XOAUTH2 in two steps; the last answer."""
        self.say("AUTH XOAUTH2")
        return self.say(xoauth2(mailbox, token))

    def mail(self, message: bytes = MESSAGE, sender: str = RELAY, to: str = "b@x.example") -> str:
        """A whole transaction; the answer to the final dot."""
        self.envelope(sender, to)
        return self.send(message + b".\r\n")

    def envelope(self, sender: str = RELAY, to: str = "b@x.example") -> str:
        """MAIL, RCPT, DATA; the last answer."""
        self.say(f"MAIL FROM:<{sender}>")
        self.say(f"RCPT TO:<{to}>")
        return self.say("DATA")

    @property
    def is_closed(self) -> bool:
        return bool(self.wire.disconnecting or self.wire.disconnected)


def xoauth2(mailbox: str, token: str) -> str:
    """The response of a client, in base64."""
    return base64.b64encode(f"user={mailbox}\x01auth=Bearer {token}\x01\x01".encode()).decode()
