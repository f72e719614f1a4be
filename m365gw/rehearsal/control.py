"""The control interface: loopback HTTP with JSON, for those who run a rehearsal as a process.

    GET    /rehearsal                        ports, counts, faults on order
    GET    /rehearsal/usage                  what each mailbox has used of its limits
    GET    /rehearsal/messages?since=N&limit=M   messages received, without contents
    GET    /rehearsal/messages/N             octets of message N
    DELETE /rehearsal/messages               forget them
    POST   /rehearsal/faults                 a fault, by the fields of `faults.Fault`
    DELETE /rehearsal/faults                 all goes well again
    POST   /rehearsal/go-on                  {}: SMTP sessions that stall go on
    POST   /rehearsal/switches               {"tenant": {...}, "limits": {...},
                                              "mailboxes": {address: {...}}, "users": {...},
                                              "apps": {client_id: {...}},
                                              "middlebox": {...}}
    POST   /rehearsal/device                 {"user_code": ..., "user": ...},
                                             or {"user_code": ..., "decline": true}
    POST   /rehearsal/revoke                 {"sessions": name or "", "access": name or ""}
    POST   /rehearsal/remove                 {"users": [...], "mailboxes": [...], "apps": [...]}
    POST   /rehearsal/certificate            PEM or DER as it is: one more the app knows
    POST   /rehearsal/federation             {"aud": ..., "sub": ..., "iss": ..., "lifetime": ...}:
                                             what is wrong with federated tokens from now on
    POST   /rehearsal/rename                 {"user": name, "to": name}
                                             or {"mailbox": address, "to": address}

A request that makes no sense gets 400 with {"error": words} and changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from attrs import asdict
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.web.resource import Resource

from m365gw.rehearsal.device import DeviceCodes
from m365gw.rehearsal.exchange import Exchange
from m365gw.rehearsal.props import TokenFile
from m365gw.rehearsal.switches import apply_switches, remove
from m365gw.rehearsal.tenant import APP_ID

Request = Any  # twisted.web.http.Request, whose methods have no types

LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")


class Controlled(Protocol):
    """What is controlled: a running rehearsal."""

    exchange: Exchange
    devices: DeviceCodes
    token_file: TokenFile

    def ports(self) -> dict[str, int]:
        """Where it listens."""
        ...


class ControlPages(Resource):
    """Everything below the root of the control interface."""

    isLeaf = True

    def __init__(self, rehearsal: Controlled) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted has no types here
        self._rehearsal = rehearsal
        self._exchange = rehearsal.exchange

    def render(self, request: Request) -> bytes:
        """One request: its answer, or 400 with the reason."""
        request.setHeader("X-Rehearsal", "m365gw")
        try:
            _demand_local(request)
            return self._answer(request)
        except (KeyError, ValueError, TypeError) as error:
            request.setResponseCode(400)
            return _json(request, {"error": f"{type(error).__name__}: {error}"})

    def _answer(self, request: Request) -> bytes:
        root, *path = request.path.decode("ascii").strip("/").split("/")
        if root != "rehearsal":
            raise ValueError("everything is below /rehearsal")
        match request.method, path:
            case b"GET", []:
                return _json(request, self._summary())
            case b"GET", ["usage"]:
                return _json(request, {"mailboxes": self._exchange.meters.usage()})
            case b"GET", ["messages"]:
                since, limit = _number(request, b"since"), _number(request, b"limit")
                found = self._exchange.record.messages(since, limit)
                return _json(request, {"messages": [each.as_json() for each in found]})
            case b"GET", ["messages", number]:
                return self._content(request, int(number))
            case b"DELETE", ["messages"]:
                self._exchange.record.clear()
            case b"DELETE", ["faults"]:
                self._exchange.faults.clear()
            case b"POST", ["certificate"]:
                self._exchange.tenant.register_certificate(APP_ID, _certificate(request))
            case b"POST", [action]:
                return _json(request, self._change(action, _values(request)))
            case _:
                raise ValueError("no such page; see the module m365gw.rehearsal.control")
        return _json(request, {})

    def _summary(self) -> dict[str, Any]:
        record, faults = self._exchange.record, self._exchange.faults
        return {
            "rehearsal": "m365gw rehearsal, not Microsoft",
            "ports": self._rehearsal.ports(),
            "messages": record.count,
            "tokens": self._exchange.tokens.issued,
            "faults": [asdict(fault) for fault in faults.pending],
        }

    def _content(self, request: Request, number: int) -> bytes:
        message = self._exchange.record.message(number)
        if message is None or message.content is None:
            raise KeyError(f"the content of message {number} is not kept")
        request.setHeader("Content-Type", "message/rfc822")
        return message.content

    def _change(self, action: str, values: Mapping[str, Any]) -> dict[str, Any]:
        tokens = self._exchange.tokens
        if action == "faults":
            return asdict(self._exchange.faults.order_from(values))
        if action == "go-on":
            self._exchange.faults.go_on()
            return {}
        if action == "switches":
            exchange = self._exchange
            apply_switches(exchange.tenant, exchange.limits, exchange.middlebox, values)
            return {}
        if action == "device":
            if values.get("decline"):
                self._rehearsal.devices.decline(values["user_code"])
            else:
                self._rehearsal.devices.approve(values["user_code"], values["user"])
            return {}
        if action == "federation":
            self._rehearsal.token_file.write(values)
            return {}
        if action == "remove":
            remove(self._exchange.tenant, values)
            return {}
        if action == "rename" and "mailbox" in values:
            self._exchange.tenant.rename_mailbox(values["mailbox"], values["to"])
            return {}
        if action == "rename":
            self._exchange.tenant.rename_user(values["user"], values["to"])
            tokens.rename(values["user"], values["to"])
            return {}
        if action == "revoke":
            revoked = {}
            if "sessions" in values:
                revoked["sessions"] = tokens.revoke_sessions(values["sessions"])
            if "access" in values:
                revoked["access"] = tokens.revoke_access(values["access"])
            return revoked
        raise ValueError(f"nothing called {action!r} can be changed")


def _demand_local(request: Request) -> None:
    """A page of a foreign site in a browser of this machine must not reach these controls."""
    host = (request.getHeader("host") or "").rpartition(":")[0]
    if host not in LOCAL_NAMES or request.getHeader("origin"):
        raise ValueError("the control interface is for programs on this machine")


def _certificate(request: Request) -> bytes:
    """A certificate that was uploaded, as PEM."""
    octets = request.content.read() if request.content else b""
    if b"-----BEGIN CERTIFICATE-----" in octets:
        certificate = x509.load_pem_x509_certificate(octets)
    else:
        certificate = x509.load_der_x509_certificate(octets)
    return certificate.public_bytes(Encoding.PEM)


def _values(request: Request) -> Mapping[str, Any]:
    values = json.loads(request.content.read() if request.content else b"")
    if not isinstance(values, dict):
        raise ValueError("a JSON object is needed")
    return values


def _number(request: Request, name: bytes) -> int:
    arguments: dict[bytes, list[bytes]] = request.args or {}
    return int(arguments.get(name, [b"0"])[0])


def _json(request: Request, value: Mapping[str, Any]) -> bytes:
    request.setHeader("Content-Type", "application/json")
    return json.dumps(value, default=sorted).encode()
