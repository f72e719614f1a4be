"""A knock at a listener of our own: the greeting, TLS and EHLO, as a client would find them.

Where the listener wants a PROXY header of the address we come from, we say LOCAL, as a load
balancer does for its health checks; from any other address a client comes without one, and so do
we. Nothing secret is said, and no message begun.

Failures: `Silent`, in words.
"""

from __future__ import annotations

import re
from functools import partial
from ipaddress import ip_address
from typing import Any, Final, cast

from attrs import define, field
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    clientFromString,
)
from twisted.internet.protocol import Factory

from m365gw.config.settings import Listener
from m365gw.doctor.witness import Presented, Witness
from m365gw.edge.listening.caller import caller_at, must_introduce
from m365gw.relay.exit.esmtp import Extensions
from m365gw.relay.exit.lost import Lost, cause
from m365gw.relay.exit.wire import Wire
from m365gw.smtp.proxy import SIGNATURE_V2
from m365gw.smtp.replies import Reply

TIMEOUT: Final = 5.0  # seconds
LOCAL: Final = SIGNATURE_V2 + b"\x20\x00\x00\x00"  # version 2, LOCAL, no addresses

_UNIX = re.compile(r"unix:(?:address=)?([^:]+)")
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where one that listens everywhere is met


class Silent(Exception):
    """It did not answer as a mail server does. The text says how far it came."""


@define
class Knock:
    """What one client met. `steps` says it in words, in the order it happened."""

    came_from: str = ""  # our own address, "" for a UNIX socket
    introduced: bool = False  # a PROXY header was wanted of us, and sent
    presented: Presented | None = None
    steps: list[str] = field(factory=list)


async def knock(
    reactor: Any, listener: Listener, address: str, hostname: str, *, tls_first: bool
) -> Knock:
    """Come as a client to `address`, "127.0.0.1:587" or a UNIX endpoint. Raises `Silent`."""
    seen = Knock()
    try:
        wire = await _connected(reactor, address)
    except Exception as problem:
        raise Silent(cause(problem)) from None
    try:
        await _spoken(wire, seen, listener, hostname, tls_first=tls_first)
        wire.write(b"QUIT\r\n")
    except Lost as lost:
        raise Silent(", ".join([*seen.steps, str(lost)])) from None
    finally:
        wire.hang_up()
    return seen


async def _spoken(
    wire: Wire, seen: Knock, listener: Listener, hostname: str, *, tls_first: bool
) -> None:
    caller = caller_at(wire.transport.getHost())
    seen.came_from = str(caller.address or "")
    if must_introduce(listener, caller):
        seen.introduced = True
        seen.steps.append("PROXY LOCAL")
        wire.write(LOCAL)
    if tls_first:
        await _secured(wire, seen, hostname)
    banner = await wire.reply(TIMEOUT)
    seen.steps.append(str(banner).partition("\n")[0][:60])
    if banner.code != 220:
        raise Lost("that is no greeting")
    offered = Extensions.of(await _ehlo(wire, seen, hostname))
    if tls_first or listener.tls == "none":
        return
    if "STARTTLS" not in offered:
        raise Lost("STARTTLS is not offered")
    wire.write(b"STARTTLS\r\n")
    answer = await wire.reply(TIMEOUT)
    if answer.code != 220:
        raise Lost(f"STARTTLS was answered with {answer}")
    await _secured(wire, seen, hostname)
    await _ehlo(wire, seen, hostname)


async def _secured(wire: Wire, seen: Knock, hostname: str) -> None:
    witness = Witness(hostname, "")
    try:
        await wire.secure(witness, TIMEOUT)
    finally:
        seen.presented = witness.presented()
    if seen.presented is not None:
        seen.steps.append(seen.presented.protocol)


async def _ehlo(wire: Wire, seen: Knock, hostname: str) -> Reply:
    wire.write(f"EHLO {hostname}\r\n".encode("ascii", "replace"))
    answer = await wire.reply(TIMEOUT)
    if answer.code != 250:
        raise Lost(f"EHLO was answered with {answer}")
    return answer


async def _connected(reactor: Any, address: str) -> Wire:
    factory = Factory.forProtocol(partial(Wire, reactor))
    factory.noisy = False
    endpoint: Any
    if socket := _UNIX.match(address):
        endpoint = cast(Any, clientFromString)(reactor, f"unix:{socket[1]}:timeout={TIMEOUT:g}")
    else:
        host, _, port = address.rpartition(":")
        host = _ANY.get(host, host)
        kind = TCP6ClientEndpoint if ip_address(host).version == 6 else TCP4ClientEndpoint
        endpoint = kind(reactor, host, int(port), timeout=TIMEOUT)
    return cast(Wire, await endpoint.connect(factory))
