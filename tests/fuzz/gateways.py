"""The gateways that are fuzzed: real sessions and a real spool, and no sockets."""

from __future__ import annotations

import base64
import hmac
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from m365gw.config.limits import Limits
from m365gw.config.logins import Logins
from m365gw.config.settings import Client, Listener
from tests.edge.conversation import OPEN, TRUSTED, Gateway, Wire, without_trace
from tests.fuzz.corpus import LOGIN, PASSWORD, segments
from tests.fuzz.model import AUTH_LIMIT, Dialogue, Stored, compare

LIMITS: Final = Limits(
    message_size_limit=5000,
    header_size_limit=3000,
    line_length_limit=1000,
    recipient_limit=3,
    hard_error_limit=8,
    command_limit=60,
    transaction_limit=10**9,
    client_connection_rate_limit=10**9,
    minimal_free_space=0,
)


def _hash() -> str:
    """Of the password as if it were a generated one: a chosen one would cost 40 ms each time."""
    salt = b"sixteen octets.."
    digest = hmac.digest(salt, PASSWORD, "sha256")
    return f"$hmac-sha256${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


LOGINS: Final = Logins(shortest_wait=0.001, longest_wait=0.001, wrong_limit=3)
_FAX: Final = Client(
    login=LOGIN.decode(),
    password_hash=_hash(),
    senders=("*@example.com",),
    mailbox="relay@example.com",
)
LISTENERS: Final = {
    "trusted network": OPEN,
    "login in the clear": Listener(
        name="clear", endpoint="tcp:0", tls="starttls", auth="require", quirks=("plaintext-auth",)
    ),
    "login in TLS": Listener(name="tls", endpoint="tcp:0", tls="require", auth="require"),
}


class Case:
    """What a gateway needs of a test, in memory where there is a file system in it."""

    def __init__(self) -> None:
        place = "/dev/shm" if Path("/dev/shm").is_dir() else None
        self._folder = Path(tempfile.mkdtemp(prefix="m365gw-fuzz-", dir=place))
        self._undo: list[Callable[[], object]] = []

    def mktemp(self) -> str:
        return str(self._folder / "spool")

    def addCleanup(self, undo: Callable[[], object]) -> None:
        self._undo.append(undo)

    def close(self) -> None:
        for undo in self._undo:
            undo()
        shutil.rmtree(self._folder)


class Target:
    """One gateway with one listener, for dialogue after dialogue."""

    def __init__(self, name: str) -> None:
        self._case = Case()
        listener = LISTENERS[name]
        self._is_trusted = listener is OPEN
        self._limit = LIMITS.line_length_limit if name != "login in the clear" else AUTH_LIMIT
        self._gateway = Gateway(
            self._case,
            listener=listener,
            limits=LIMITS,
            clients=[_FAX],
            networks=[TRUSTED] if self._is_trusted else [],
            logins=LOGINS,
        )

    def close(self) -> None:
        """Nothing is left of it."""
        self._case.close()

    def run(self, chance: random.Random, octets: bytes) -> int:
        """One dialogue; how many messages it left. Raises Violation."""
        gateway = self._gateway
        wire = Wire()
        wire.protocol = pump = gateway.factory.buildProtocol(wire.getPeer())
        pump.makeConnection(wire)
        gateway.disk.is_stalled = chance.random() < 0.2
        said = bytearray()
        for segment in segments(chance, octets):
            if wire.is_closing:
                break
            pump.dataReceived(segment)
            said += segment
            if wire.tls_with is not None and not pump.is_secure:
                pump.handshakeCompleted()
            if chance.random() < 0.1:
                gateway.disk.run()
            if wire.producer is not None and chance.random() < 0.02:
                wire.producer.pauseProducing()  # the peer does not read for a while
                pump.dataReceived(b"")
                wire.producer.resumeProducing()
            gateway.clock.advance(0.01)
        gateway.disk.is_stalled = False
        while gateway.disk.waiting:
            gateway.disk.run()
        gateway.clock.advance(0.01)
        replies = [line for line in wire.value().decode("ascii").splitlines() if line[3:4] != "-"]
        is_closed = wire.is_closing
        pump.connectionLost(Failure(ConnectionLost()))
        stored = self._take()
        gateway.output.seek(0)
        gateway.output.truncate()
        dialogue = Dialogue(
            bytes(said), replies, is_closed, self._is_trusted, self._limit, AUTH_LIMIT
        )
        compare(dialogue.read(), stored)
        return len(stored)

    def _take(self) -> list[Stored]:
        """The messages in the spool, which is empty then."""
        stored, spool = [], self._gateway.spool
        for entry in sorted(spool.entries(), key=lambda entry: entry.id):
            message = spool.claim(entry)
            content = without_trace(message.read(0, message.size))
            envelope = message.envelope
            stored.append(Stored(envelope.sender, len(envelope.recipients), content))
            spool.remove(message)
        self._gateway.accepted.clear()
        self._gateway.uses.clear()
        return stored
