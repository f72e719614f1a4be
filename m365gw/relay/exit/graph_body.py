"""The body of a Graph request: the message in base64, read piece by piece while it is sent.

No more than two pieces are in memory. The last one is held back until `before_dot` of the
transaction is through, so Graph never has a whole message whose recipients are not yet marked as
uncertain on disk.

What reading or marking raises ends the request and is kept as `problem`, for who sends it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from m365gw.relay.exit.graph_fit import Carriage
from m365gw.relay.exit.transaction import Transaction

PIECE: Final = 49152  # octets at a time; of three each, so that base64 needs no padding between


@implementer(IBodyProducer)
class Base64Body:
    """Produces the body once. `is_whole` says that all of it has been handed over."""

    def __init__(self, carriage: Carriage, transaction: Transaction) -> None:
        self.length = carriage.request_size
        self.is_whole = False
        self.problem: BaseException | None = None
        self._carriage = carriage
        self._transaction = transaction
        self._is_stopped = False
        self._room: Deferred[None] | None = None  # fires when there is room to write more
        self._ended: list[Deferred[None]] = []
        self._is_running = False

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """Twisted's request is there; the answer fires when the body is handed over."""
        told: Deferred[None] = Deferred()
        self._is_running = True
        producing = Deferred.fromCoroutine(self._produce(consumer))
        producing.addBoth(self._end, told)
        return told

    async def ended(self) -> None:
        """Returns when nothing of the message is read or marked any more."""
        if self._is_running:
            ended: Deferred[None] = Deferred()
            self._ended.append(ended)
            await ended

    def pauseProducing(self) -> None:
        if self._room is None:
            self._room = Deferred()

    def resumeProducing(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.callback(None)

    def stopProducing(self) -> None:
        """The connection is gone: nothing more is handed over."""
        self._is_stopped = True
        self.resumeProducing()

    async def _produce(self, consumer: Any) -> None:
        held = b""
        for piece in self._pieces():
            if held:
                consumer.write(b64encode(held))
                if self._room is not None:
                    await self._room
                if self._is_stopped:
                    return
            held = piece
        await self._transaction.before_dot()
        if not self._is_stopped:
            self.is_whole = True
            consumer.write(b64encode(held))

    def _pieces(self) -> Iterator[bytes]:
        """The message as Graph gets it, in pieces of `PIECE` octets but for the last."""
        pending = b""
        for octets in self._read():
            pending += octets
            while len(pending) > PIECE:
                yield pending[:PIECE]
                pending = pending[PIECE:]
        yield pending

    def _read(self) -> Iterator[bytes]:
        """All of the spooled message in order, as only then its checksum is looked at."""
        task, replaced = self._transaction, self._carriage.replaced
        task.read(0, replaced)
        yield self._carriage.header
        for offset in range(replaced, task.size, PIECE):
            octets = task.read(offset, min(PIECE, task.size - offset))
            if not octets:
                raise EOFError(f"the message ends at {offset} of {task.size} octets")
            yield octets

    def _end(self, result: Any, told: Deferred[None]) -> None:
        self._is_running = False
        if isinstance(result, Failure):
            self.problem = result.value
            if not self._is_stopped:
                told.errback(result)
        elif not self._is_stopped:
            told.callback(None)
        waiting, self._ended = self._ended, []
        for each in waiting:
            each.callback(None)
