"""The ordered pump under a submission session: octets in, one thing at a time, replies out.

What was pipelined is read in order and answered in order; the replies to one piece of input are
written at once. While an answer waits (tarpit, throttle, a scripted stall) nothing behind it is
looked at, and a client that goes on sending is no longer read.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

from twisted.internet import protocol
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from m365gw.rehearsal.answers import ANSWERS
from m365gw.rehearsal.exchange import Exchange
from m365gw.rehearsal.faults import Fault, Phase

log = Logger(namespace="m365gw.rehearsal")

HOST = "REHEARSAL.namprd00.prod.outlook.com"
NEVER = 1e9  # seconds
UNREAD_LIMIT = 65_536  # octets that may wait behind an answer


class Owner(Protocol):
    """Who listens: gives the service behind the sessions, and forgets those that end."""

    exchange: Exchange
    context_factory: Any
    sessions: set[Any]


class Pump(protocol.Protocol):
    """One connection. What is read next is in `reader`: it says whether it got on."""

    transport: Any  # TCP; no one interface of Twisted's has all that is used

    def __init__(self, number: int, owner: Owner) -> None:
        self.number = number
        self.owner = owner
        self.exchange = owner.exchange
        self.buffer = bytearray()
        self.reader: Callable[[], bool] = self.read_command
        self.closed = False
        self._replies: list[str] = []
        self._waits: IDelayedCall | None = None
        self._silent = False  # no answer comes until it is told to go on
        self._paused = False
        self._errors = 0

    def read_command(self) -> bool:
        """Reads one command, if it is there."""
        raise NotImplementedError

    def begin(self, stamp: datetime) -> None:
        """The client is connected."""
        raise NotImplementedError

    def end(self) -> None:
        """The client is gone."""
        raise NotImplementedError

    # The connection

    def connectionMade(self) -> None:
        limits = self.exchange.limits
        stamp = datetime.fromtimestamp(self.exchange.clock.seconds(), UTC)
        self._tag = f" [{HOST} {stamp:%Y-%m-%dT%H:%M:%S.000Z} {self.number:016X}]"
        self.transport.setTcpNoDelay(True)
        later = self.exchange.clock.callLater
        self._idle_seconds = limits.idle_seconds or NEVER
        self._idle = later(self._idle_seconds, self._time_out)
        self._longest = later(limits.connection_seconds or NEVER, self._time_out)
        log.debug("rehearsal: connection {number} opened", number=self.number)
        self.begin(stamp)
        self.flush()

    def dataReceived(self, data: bytes) -> None:
        if self.closed:
            return
        self._stay_awake()
        self.buffer += data
        self.pump()
        if (self._waits or self._silent) and len(self.buffer) > UNREAD_LIMIT:
            self._paused = True
            self.transport.pauseProducing()

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        self.closed = True
        for timer in (self._waits, self._idle, self._longest):
            if timer is not None and timer.active():
                timer.cancel()
        self.end()
        self.owner.sessions.discard(self)
        log.debug("rehearsal: connection {number} closed", number=self.number)

    def _stay_awake(self) -> None:
        if self._idle.active():
            self._idle.reset(self._idle_seconds)

    def _time_out(self) -> None:
        self.close(ANSWERS["timed-out"])

    # Replies

    def pump(self) -> None:
        """Reads as long as there is something to read and no answer waits."""
        while not (self._waits or self._silent or self.closed) and self.reader():
            pass
        self.flush()

    def reply(self, *lines: str) -> None:
        """Answers, with several lines if need be."""
        for line in lines[:-1]:
            self._replies.append(f"{line[:3]}-{line[4:]}\r\n")
        self._replies.append(f"{lines[-1]}\r\n")

    def refuse(self, answer: str) -> None:
        """Answers with the tag that Microsoft puts behind its refusals."""
        self.reply(answer + self._tag)

    def flush(self) -> None:
        """Writes the replies gathered so far."""
        if self._replies:
            self.transport.write("".join(self._replies).encode())
            self._replies.clear()

    def close(self, answer: str) -> None:
        """A last answer, and the end."""
        if not self.closed:
            self.refuse(answer)
            self.leave()

    def leave(self) -> None:
        """Writes what is to be written, and closes."""
        self.flush()
        self.closed = True
        self.transport.loseConnection()

    def drop(self) -> None:
        """Cuts the connection."""
        self.flush()
        self.closed = True
        self.transport.abortConnection()

    def after(self, seconds: float, proceed: Callable[[], None]) -> None:
        """Goes on at once or later; nothing behind is read before."""
        if seconds <= 0:
            proceed()
            return

        self._waits = self.exchange.clock.callLater(seconds, self._go_on, proceed)

    def _go_on(self, proceed: Callable[[], None]) -> None:
        """What was waited for is over."""
        if self.closed:
            return
        self._waits, self._silent = None, False
        self._stay_awake()
        proceed()
        if self._paused and not self.closed:
            self._paused = False
            self.transport.resumeProducing()
        self.pump()

    def mistake(self, answer: str) -> None:
        """A bad command or a failed login: slowly answered, and counted."""
        self._errors += 1
        limits = self.exchange.limits
        if limits.errors and self._errors > limits.errors:
            self.close(ANSWERS["too-many-errors"])
            return
        self.after(limits.tarpit_seconds, lambda: self.refuse(answer))

    # Faults

    def through_faults(
        self, phase: Phase, subjects: tuple[str, ...], proceed: Callable[[], None]
    ) -> None:
        """Proceeds, unless a fault is due at this phase."""
        faults = self.exchange.faults
        fault = faults.due(phase, subjects) if faults.pending else None
        if fault is None:
            proceed()
        else:
            self.suffer(fault, proceed)

    def suffer(self, fault: Fault, proceed: Callable[[], None]) -> None:
        """Does what a fault wants; `proceed` follows a stall that ends."""
        if fault.action == "drop":
            self.drop()
        elif fault.action == "stall":
            if fault.seconds:
                self.after(fault.seconds, proceed)
            else:
                self._silent = True
                self.exchange.faults.stalled.append(lambda: self._go_on(proceed))
        elif fault.phase == "connect" or fault.answer.startswith("421"):
            self.close(fault.answer)
        else:
            self.refuse(fault.answer)
