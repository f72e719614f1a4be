"""Flow of one connection: replies out, and when to stop reading.

A peer that does not read its replies is not read from: the transport says so (`pauseProducing`)
when it holds more than it likes to. Without that, a client that sends commands and never reads
would fill our memory with replies.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from twisted.internet import tcp
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from zope.interface import implementer

from m365gw.edge.session import answers
from m365gw.smtp.replies import Reply, render

MOST_READ_OVER: Final = 1 << 20  # octets behind the last reply, before we break off

_rendered = lru_cache(maxsize=256)(render)


@implementer(IPushProducer)
class Flow:
    """Writes replies to a stream transport, and pauses its reading.

    `resumed` is called when the peer reads again after it did not.

    Made anew when TLS begins. Ended before the connection is closed, as a transport with a
    producer never closes.
    """

    def __init__(self, transport: Any, resumed: Callable[[], object]) -> None:
        self._transport = transport
        self._resumed = resumed
        self._writes_at_once = isinstance(transport, tcp.Connection) and not transport.TLS
        self._replies: list[bytes] = []  # not written yet
        self._is_paused = False  # we do not read
        self.is_choked = False  # the peer does not read
        self._patience = MOST_READ_OVER
        self._last: Reply | None = None
        if ITCPTransport.providedBy(transport):
            # Replies wait for nobody: without this a small write waits for the peer's ACK.
            transport.setTcpNoDelay(True)
        transport.registerProducer(self, True)

    def end(self) -> None:
        """Let go of the transport."""
        self._transport.unregisterProducer()

    def close(self) -> None:
        """Close the connection once the peer has taken the replies.

        A socket that is closed with octets in it which nobody has read resets the connection
        (RFC 1122 4.2.2.13), and the peer may lose the replies. So where the peer may still be
        sending only our side is closed, and the rest is read until it closes too. TLS does the
        same by its close alert.
        """
        self.end()
        transport = self._transport
        is_plain = isinstance(transport, tcp.Connection) and not transport.TLS
        if is_plain and self._last not in answers.UNHURRIED:
            transport.resumeProducing()
            transport.loseWriteConnection()
        else:
            transport.loseConnection()

    def read_over(self, octets: int) -> None:
        """So many octets came behind the last reply: bear a few, so that the peer reads that."""
        self._patience -= octets
        if self._patience < 0:
            self._transport.abortConnection()

    def say(self, reply: Reply) -> None:
        """Gather a reply, to be written with the others."""
        self._replies.append(_rendered(reply))
        self._last = reply

    def flush(self) -> bool:
        """Write what was gathered; returns whether there was anything."""
        if not self._replies:
            return False
        replies, self._replies = b"".join(self._replies), []
        self._write(replies)
        return True

    def _write(self, octets: bytes) -> None:
        """Give octets to the peer, at once if its socket takes them.

        The reactor's own way, wait until the socket is known to be writable, costs more than the
        write. It is taken from the first time on that a peer is slow, and by TLS.
        """
        if self._writes_at_once:
            sent = self._transport.writeSomeData(octets)
            octets = octets[sent:] if isinstance(sent, int) else octets
            if not octets:
                return
            self._writes_at_once = False
        self._transport.write(octets)

    def regulate(self, *, is_full: bool) -> None:
        """Read from the peer only while it reads from us, and (`is_full`) while we keep up."""
        should_pause = self.is_choked or is_full
        if should_pause == self._is_paused:
            return
        self._is_paused = should_pause
        if should_pause:
            self._transport.pauseProducing()
        else:
            self._transport.resumeProducing()

    # What the transport calls

    def pauseProducing(self) -> None:
        self.is_choked = True
        self._is_paused = True
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        self.is_choked = False
        self._resumed()

    def stopProducing(self) -> None:
        """The connection is lost; its protocol hears of it too."""
