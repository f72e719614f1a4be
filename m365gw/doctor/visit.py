"""A look at a submission host without a word about who we are: no sign-in, no message.

One connection to each of its addresses, to see which answer; the first that greets us is kept for
EHLO, STARTTLS and EHLO again, the others are left with QUIT. The certificate is recorded whatever
it is, so that a finding can name its issuer; therefore nothing secret ever goes over this
connection.

Failures: `Lost` from the wire, in words.
"""

from __future__ import annotations

from functools import partial
from ipaddress import ip_address
from typing import Any, Final, cast

from attrs import frozen
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.protocol import Factory

from m365gw.doctor.witness import Presented, Witness
from m365gw.relay.exit.esmtp import Extensions
from m365gw.relay.exit.lost import Lost, cause
from m365gw.relay.exit.wire import Wire
from m365gw.smtp.replies import Reply

CONNECT_TIMEOUT: Final = 10.0  # seconds
ANSWER_TIMEOUT: Final = 15.0
MOST_ADDRESSES: Final = 8


@frozen
class Arrival:
    """What became of the connection to one address. `banner` is None when none came."""

    address: str
    seconds: float  # until the banner, or until it failed
    banner: Reply | None = None
    fault: str = ""
    is_connected: bool = False
    wire: Wire | None = None


class Visit:
    """One such look. Used by D04 to D06, in this order; then closed."""

    def __init__(self, wire: Wire, hostname: str) -> None:
        self._wire = wire
        self._hostname = hostname
        self.first: Reply | None = None  # to EHLO in clear
        self.second: Reply | None = None  # to EHLO under TLS
        self.presented: Presented | None = None
        self.handshake_fault = ""

    @property
    def peer(self) -> str:
        """The address it speaks to: "[192.0.2.1]:587"."""
        return self._wire.peer

    async def ehlo(self) -> Reply:
        """EHLO. Raises `Lost`."""
        self._wire.write(f"EHLO {self._hostname}\r\n".encode("ascii", "replace"))
        return await self._wire.reply(ANSWER_TIMEOUT)

    async def look(self, host: str, ca_file: str) -> None:
        """EHLO, STARTTLS, EHLO; notes all there is to see. Raises `Lost` before the handshake."""
        self.first = await self.ehlo()
        if "STARTTLS" not in Extensions.of(self.first):
            return
        self._wire.write(b"STARTTLS\r\n")
        answer = await self._wire.reply(ANSWER_TIMEOUT)
        if answer.code != 220:
            self.handshake_fault = f"STARTTLS was answered with {answer}"
            return
        witness = Witness(host, ca_file)
        try:
            await self._wire.secure(witness, ANSWER_TIMEOUT)
            self.presented = witness.presented()
            self.second = await self.ehlo()
        except Lost as lost:
            self.presented = witness.presented()
            self.handshake_fault = str(lost)

    def close(self) -> None:
        """End it in good order."""
        self._wire.write(b"QUIT\r\n")
        self._wire.hang_up()


async def arrive(reactor: Any, addresses: tuple[str, ...], port: int) -> list[Arrival]:
    """Connect to each address and wait for its banner."""
    arrivals: list[Arrival] = await gatherResults(
        [
            Deferred.fromCoroutine(_arrive(reactor, address, port))
            for address in addresses[:MOST_ADDRESSES]
        ]
    )
    return arrivals


async def _arrive(reactor: Any, address: str, port: int) -> Arrival:
    kind: Any = TCP6ClientEndpoint if ip_address(address).version == 6 else TCP4ClientEndpoint
    began = reactor.seconds()
    factory = Factory.forProtocol(partial(Wire, reactor))
    factory.noisy = False
    try:
        wire = cast(
            Wire, await kind(reactor, address, port, timeout=CONNECT_TIMEOUT).connect(factory)
        )
    except Exception as problem:
        return Arrival(address, reactor.seconds() - began, fault=cause(problem))
    try:
        banner = await wire.reply(ANSWER_TIMEOUT)
    except Lost as lost:
        return Arrival(address, reactor.seconds() - began, fault=str(lost), is_connected=True)
    return Arrival(address, reactor.seconds() - began, banner, is_connected=True, wire=wire)
