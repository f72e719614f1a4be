"""Requests to the API without sockets: octets in, octets out, over a transport in memory."""

from __future__ import annotations

import io
import json
from typing import Any

from attrs import frozen
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from m365gw.admin.api import Api
from m365gw.admin.http import ApiRequest, Caller, site
from m365gw.events import EventLog


@frozen
class Answered:
    """The answer to one request."""

    status: int
    header: str
    body: Any  # from JSON, None without


class Stage:
    """An API with its log, and a caller."""

    def __init__(self, level: str = "info") -> None:
        self.lines = io.StringIO()
        self.clock = Clock()
        log = EventLog(self.lines, hostname="gw", format="json", level=level, clock=lambda: 0.0)
        self.api = Api(log)
        self.caller = Caller("root[1]")

    def who(self, request: ApiRequest) -> Caller:
        return self.caller

    def send(self, octets: bytes) -> StringTransport:
        """What a client sends on a new connection."""
        factory = site(self.api.resource(self.who), self.clock)
        protocol = factory.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(octets)
        self.protocol = protocol
        return transport

    def ask(self, method: str, path: str, body: bytes = b"", *, raw_path: bytes = b"") -> Answered:
        """One request and its answer."""
        target = raw_path or path.encode("ascii")
        head = b"%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        return answered(self.send(head % (method.encode("ascii"), target, len(body)) + body))

    def log(self) -> list[dict[str, Any]]:
        """What was logged."""
        return [json.loads(line) for line in self.lines.getvalue().splitlines()]


def answered(transport: StringTransport) -> Answered:
    """The answer that stands in a transport."""
    head, _, rest = transport.value().partition(b"\r\n\r\n")
    text = head.decode("ascii")
    if "transfer-encoding: chunked" in text.lower():
        rest = rest.partition(b"\r\n")[2].rpartition(b"\r\n0\r\n")[0]
    return Answered(int(text.split()[1]), text.lower(), json.loads(rest) if rest else None)
