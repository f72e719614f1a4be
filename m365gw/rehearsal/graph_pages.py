"""The pretend Graph on HTTPS, below /graph/v1.0: sendMail with a MIME message in base64.

Success is 202 with no body. Errors are JSON as Graph's, with its HTTP status. Every answer carries
`X-Rehearsal`, `request-id` and the caller's `client-request-id`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from m365gw.rehearsal.faults import Fault
from m365gw.rehearsal.graph import ACCEPTED, Declined, Graph, Mail

Request = Any  # twisted.web.http.Request, whose methods have no types

log = Logger(namespace="m365gw.rehearsal")


class Front(Resource):
    """The root of the HTTPS port: Graph below /graph, sign-in everywhere else."""

    def __init__(self, sign_in: Resource, graph: Resource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no types here
        self._sign_in = sign_in
        self._graph = graph

    def getChild(self, name: bytes, request: Request) -> Resource:
        return self._graph if name == b"graph" else self._sign_in


class GraphPages(Resource):
    """Everything below /graph."""

    isLeaf = True

    def __init__(self, graph: Graph) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no types here
        self._graph = graph
        self._requests = 0

    def render(self, request: Request) -> bytes | int:
        """One request: its answer, now or later."""
        self._requests += 1
        number = self._requests
        request.setHeader("X-Rehearsal", "m365gw")
        request.setHeader("request-id", str(uuid.uuid4()))
        request.setHeader("client-request-id", request.getHeader("client-request-id") or "")
        try:
            return self._send_mail(request, number)
        except Declined as declined:
            return _refused(request, declined)

    def _send_mail(self, request: Request, number: int) -> bytes | int:
        graph, owner = self._graph, _owner(request)
        word, _, token = (request.getHeader("authorization") or "").partition(" ")
        if word != "Bearer":
            raise Declined(401, "InvalidAuthenticationToken", "Access token is empty.")
        grant, mailbox = graph.opened(owner, token)
        graph.begin(mailbox)
        request.notifyFinish().addBoth(lambda _: graph.end(mailbox))
        if not (request.getHeader("content-type") or "").startswith("text/plain"):
            raise Declined(400, "RequestBodyRead", "Only MIME content is rehearsed: text/plain.")
        mail = graph.read(grant, mailbox, request.content.read())
        fault = graph.exchange.faults.due("graph", (mailbox.address, mail.sender, *mail.recipients))
        if fault is not None:
            return self._spoil(request, number, mail, fault)
        return self._judged(request, number, mail)

    def _judged(self, request: Request, number: int, mail: Mail) -> bytes:
        self._graph.judge(mail)
        self._graph.take(mail, number)
        log.info("rehearsal: Graph took a message from {who}", who=mail.mailbox.address)
        request.setResponseCode(ACCEPTED)
        return b""

    def _spoil(self, request: Request, number: int, mail: Mail, fault: Fault) -> bytes | int:
        """An answer as a fault wants it, or none; on wish the message is taken all the same."""
        if fault.action == "stall" and fault.seconds:
            self._graph.exchange.clock.callLater(
                fault.seconds, self._finish, request, lambda: self._judged(request, number, mail)
            )
            return NOT_DONE_YET
        if fault.record:
            said = f"answered {fault.status}" if fault.action == "reply" else "no answer"
            self._graph.take(mail, number, said)
        if fault.action == "stall":
            return NOT_DONE_YET
        if fault.action == "drop":
            request.loseConnection()
            return NOT_DONE_YET
        for name, value in fault.headers.items():
            request.setHeader(name, value)
        if fault.error:
            return _refused(request, Declined(fault.status, fault.error, "A fault on order."))
        request.setResponseCode(fault.status)
        return fault.body.encode()

    def _finish(self, request: Request, answer: Callable[[], bytes]) -> None:
        if request.finished or request.channel is None:
            return  # the client has left
        try:
            request.write(answer())
        except Declined as declined:
            request.write(_refused(request, declined))
        request.finish()


def _owner(request: Request) -> str:
    """The address in /users/ADDRESS/sendMail, "" for /me/sendMail. Declined for other paths."""
    path: list[str] = [segment.decode("utf-8", "replace") for segment in request.postpath]
    match request.method, path:
        case b"POST", ["v1.0", "me", "sendMail"]:
            return ""
        case b"POST", ["v1.0", "users", address, "sendMail"] if address:
            return address
    raise Declined(404, "ResourceNotFound", "Only sendMail is rehearsed.")


def _refused(request: Request, declined: Declined) -> bytes:
    log.info("rehearsal: Graph says {declined}", declined=declined)
    request.setResponseCode(declined.status)
    request.setHeader("Content-Type", "application/json")
    if declined.retry_after:
        request.setHeader("Retry-After", str(declined.retry_after))
    error = {"code": declined.code, "message": declined.message, "innerError": {"rehearsal": True}}
    return json.dumps({"error": error}).encode()
