"""The body of a Graph request: base64 in pieces, and the mark before its end."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Awaitable, Callable

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.relay.exit.graph_body import PIECE, Base64Body
from m365gw.relay.exit.graph_fit import fitted
from m365gw.relay.exit.transaction import Transaction
from tests.relay.exit.test_graph_fit import BOX, transaction
from tests.relay.peer import Outcomes

HEADER = b"To: a@x.example\r\n\r\n"


class Consumer:
    """A request that takes what it gets; it can be full."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.when_written: Callable[[], None] = lambda: None

    def write(self, octets: bytes) -> None:
        self.writes.append(octets)
        self.when_written()


class BodyTests(SynchronousTestCase):
    def body(
        self,
        content: bytes,
        before_dot: Callable[[], Awaitable[None]] | None = None,
        recipients: tuple[str, ...] = ("a@x.example",),
    ) -> Base64Body:
        task: Transaction = transaction(content, recipients)
        if before_dot is not None:
            task = evolve(task, before_dot=before_dot)
        return Base64Body(fitted(task, BOX, 10**9), task)

    @given(
        st.integers(0, 3 * PIECE) | st.sampled_from([PIECE - len(HEADER), 2 * PIECE - len(HEADER)]),
        st.booleans(),
    )
    def test_any_size(self, size: int, is_bcc: bool) -> None:
        """All octets arrive in order, as many as was said, whatever the size."""
        content = HEADER + bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        body = self.body(content, recipients=("a@x.example", "b@x.example")[: 1 + is_bcc])
        consumer = Consumer()
        self.successResultOf(body.startProducing(consumer))
        sent = b"".join(consumer.writes)
        self.assertEqual(len(sent), body.length)
        before = b"Bcc: <b@x.example>\r\n" if is_bcc else b""
        self.assertEqual(b64decode(sent, validate=True), before + content)
        self.assertTrue(all(len(one) <= PIECE // 3 * 4 for one in consumer.writes))
        self.assertTrue(body.is_whole)

    def test_the_end_waits_for_the_mark(self) -> None:
        """Nobody has the whole message before its recipients are marked on disk."""
        gate: Deferred[None] = Deferred()

        async def mark() -> None:
            await gate

        consumer = Consumer()
        body = self.body(HEADER + b"x" * PIECE, mark)
        told = body.startProducing(consumer)
        ended = Outcomes(body.ended())
        self.assertNoResult(told)
        self.assertLess(len(b"".join(consumer.writes)), body.length)
        self.assertFalse(body.is_whole or ended.is_done)
        gate.callback(None)
        self.successResultOf(told)
        self.assertTrue(body.is_whole and ended.is_done)

    def test_back_pressure(self) -> None:
        """While the connection is full nothing more is read."""
        consumer = Consumer()
        body = self.body(HEADER + b"x" * 5 * PIECE)
        consumer.when_written = body.pauseProducing
        told = body.startProducing(consumer)
        self.assertEqual(len(consumer.writes), 1)
        body.resumeProducing()
        self.assertEqual(len(consumer.writes), 2)
        consumer.when_written = lambda: None
        body.resumeProducing()
        self.successResultOf(told)

    def test_connection_lost_while_it_is_full(self) -> None:
        """Then it ends, is not whole, and says nothing more to the request."""
        consumer = Consumer()
        body = self.body(HEADER + b"x" * 5 * PIECE)
        consumer.when_written = body.pauseProducing
        told = body.startProducing(consumer)
        body.stopProducing()
        self.assertNoResult(told)
        self.assertTrue(Outcomes(body.ended()).is_done)
        self.assertFalse(body.is_whole)

    def test_connection_lost_while_it_is_marked(self) -> None:
        """The last octets do not go, and who waits learns when the mark is done."""
        gate: Deferred[None] = Deferred()

        async def mark() -> None:
            await gate

        consumer = Consumer()
        body = self.body(HEADER, mark)
        body.startProducing(consumer)
        body.stopProducing()
        ended = Outcomes(body.ended())
        self.assertFalse(ended.is_done)
        gate.callback(None)
        self.assertTrue(ended.is_done)
        self.assertEqual((consumer.writes, body.is_whole), ([], False))

    def test_disk_that_fails(self) -> None:
        """What reading or marking raises ends the request and is kept."""

        async def fail() -> None:
            raise OSError("the disk")

        body = self.body(HEADER, fail)
        self.failureResultOf(body.startProducing(Consumer()), OSError)
        self.assertIsInstance(body.problem, OSError)
        self.assertFalse(body.is_whole)

    def test_message_that_became_shorter(self) -> None:
        """It is an error, not a message."""
        task = transaction(HEADER + b"x" * PIECE)
        carriage = fitted(task, BOX, 10**9)
        cut = evolve(task, read=lambda offset, length: HEADER[offset : offset + length])
        body = Base64Body(carriage, cut)
        self.failureResultOf(body.startProducing(Consumer()), EOFError)
