"""The content of one message on its way into a draft: as it came, behind our trace field.

DATA and BDAT differ only in how the octets are cut out of the stream (`Dotted`, `Chunk`); what
becomes of them is the same (`Content`). After the first reason for a refusal the draft is
discarded and the rest is read over, so that the session stays in step: the reply belongs behind
the true end.

Refused, at the end: 552 5.3.4 over the size limit, 550 5.6.0 bare CR, bare LF or NUL, what the
header is refused for (`header_watch`), and what the spool says (452 4.3.1, 451 4.3.0).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

from m365gw.config.limits import Limits
from m365gw.edge.admission.rules import Rule
from m365gw.edge.receiving.header_watch import HeaderWatch
from m365gw.edge.receiving.mending import Mending
from m365gw.edge.session import answers
from m365gw.edge.session.speaker import Answer
from m365gw.smtp.content import ChunkReader, ContentScanner, DataReader, Faults
from m365gw.smtp.replies import Refused, Reply
from m365gw.spool.draft import Draft

_log = Logger()

PATIENCE: Final = 10  # times the size limit that is read over before we hang up
SMALL: Final = 4096  # octets; smaller pieces go on together


class Content:
    """One message being received. `refusal` is the first thing found wrong with it, if any."""

    def __init__(
        self,
        draft: Draft,
        trace: bytes,
        limits: Limits,
        rule: Rule,
        mending: Mending | None = None,
        *,
        own_hop: bytes,
    ) -> None:
        """`own_hop` is what our own trace fields hold. Raises SpoolError."""
        self.queue_id = draft.queue_id
        self.size = 0  # octets received, without our trace field
        self.refusal: Reply | None = None
        self._draft = draft
        self._limits = limits
        # What is mended has its authors judged in its mended form.
        judging = rule if rule.judges_from and mending is None else None
        self._header = HeaderWatch(limits, judging, own_hop)
        self.mending = mending  # what is mended while it passes, if anything is
        self._small = bytearray()  # pieces that wait for more
        draft.write(trace)

    @property
    def is_hopeless(self) -> bool:
        """Whether the message is so far over the limit that its end is not worth waiting for."""
        return self.size > PATIENCE * self._limits.message_size_limit

    def write(self, octets: bytes) -> None:
        """The next octets of the message, any number of them. Never raises."""
        self.size += len(octets)
        if self.refusal is not None or not octets:
            return
        if self.size > self._limits.message_size_limit:
            self.refuse(too_large(self._limits))
            return
        try:
            if not self._header.is_over:
                if self.size == len(octets) and octets[0] in b" \t" and self.mending is None:
                    # It has no header: its first line would go on with our trace field.
                    self._small += b"\r\n"
                self._header.feed(octets)
            if self.mending is not None:
                octets = self.mending.feed(octets, is_header=self._header.is_header)
            self._pass_on(octets)
        except Refused as refused:
            self.refuse(refused.reply)
        except Exception:
            _log.failure("A message could not be received; its client was asked to try again")
            self.refuse(answers.FAILED)

    def complete(self, faults: Faults) -> None:
        """The last octet was written. Raises Refused when there is a reason; the draft is gone."""
        try:
            if self.refusal is not None:
                raise Refused(self.refusal)
            if self.mending is not None:
                faults = self.mending.pardon(faults)
                self._small += self.mending.finish()
            if faults.any:
                raise Refused(_faulty(faults))
            if not self._header.is_over:
                self._header.finish()
            if self._small:
                self._draft.write(bytes(self._small))
        except Exception:
            self._draft.discard()
            raise

    @property
    def is_unwieldy(self) -> bool:
        """Whether a complete message has over-long lines that `reencode` shall mend."""
        return self.mending is not None and self.mending.has_long_lines

    def reencode(self) -> None:
        """BLOCKING. Mend the over-long lines of a complete message. Raises Refused."""
        assert self.mending is not None
        try:
            self._draft = self.mending.reencode(self._draft, self._limits.message_size_limit)
        except Exception:
            self._draft.discard()
            raise

    def finish(self) -> Draft:
        """The draft of a complete message, finished. Raises SpoolError, and the draft is gone."""
        try:
            self._draft.finish()
        except Exception:
            self._draft.discard()
            raise
        return self._draft

    def refuse(self, reply: Reply) -> None:
        """Give the message up for this reason; what still comes is read over."""
        self.refusal = self.refusal or reply
        self._draft.discard()

    def abandon(self) -> None:
        """Give the message up without a reply: its client has left, or thought better of it."""
        self._draft.discard()

    def _pass_on(self, octets: bytes) -> None:
        """To the draft, which keeps each piece as it is: many small ones cost more than they hold.

        A client that sends octet by octet would cost twenty times the memory of its message.
        """
        if self._small or len(octets) < SMALL:
            self._small += octets
            if len(self._small) < SMALL:
                return
            octets, self._small = bytes(self._small), bytearray()
        self._draft.write(octets)


class Dotted:
    """Reads the content of DATA from the stream. `ended` says what becomes of the message."""

    def __init__(self, content: Content, ended: Callable[[Faults], Answer]) -> None:
        self._reader = DataReader()
        self._content = content
        self._ended = ended

    @property
    def finished(self) -> bool:
        """Whether the end was read, or is not worth waiting for."""
        return self._reader.finished or self._content.is_hopeless

    @property
    def rest(self) -> bytes:
        return self._reader.rest

    def feed(self, octets: bytes) -> None:
        self._content.write(self._reader.feed(octets))

    def end(self) -> Answer:
        return self._ended(self._reader.faults)


class Chunk:
    """Reads one BDAT chunk from the stream, into a content or (None) into nothing."""

    def __init__(
        self,
        size: int,
        content: Content | None,
        scanner: ContentScanner | None,
        ended: Callable[[], Answer],
    ) -> None:
        self._reader = ChunkReader(size)
        self._content = content
        self._scanner = scanner  # sees all chunks of one message
        self._ended = ended

    @property
    def finished(self) -> bool:
        return self._reader.finished

    @property
    def rest(self) -> bytes:
        return self._reader.rest

    def feed(self, octets: bytes) -> None:
        octets = self._reader.feed(octets)
        if self._scanner is not None:
            self._scanner.feed(octets)
        if self._content is not None:
            self._content.write(octets)

    def end(self) -> Answer:
        return self._ended()


def too_large(limits: Limits) -> Reply:
    """The refusal of a message over the size limit, declared or found."""
    limit = limits.message_size_limit
    return Reply(552, "5.3.4", f"The message is larger than the {limit} octets allowed here")


def _faulty(faults: Faults) -> Reply:
    """The refusal of content no message may have (RFC 5321 2.3.8), in words for its sender."""
    found = [
        words
        for words, is_there in (
            ("a bare CR", faults.bare_cr),
            ("a bare LF", faults.bare_lf),
            ("a NUL", faults.nul),
        )
        if is_there
    ]
    return Reply(
        550,
        "5.6.0",
        f"The message holds {' and '.join(found)}. Lines of a message end with CR LF, and neither "
        "may stand alone. The program that made the message has to be mended",
    )
