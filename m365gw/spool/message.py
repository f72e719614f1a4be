"""A claimed message: its envelope, how each recipient stands, and its octets.

The file stays open while the message is claimed, so it can be read whatever happens to its name.
Outcomes change in place, each write on whole lines of the recipients concerned and no others, so
that two transactions for different recipients never undo each other's marks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from zlib import crc32

from m365gw.smtp.envelope import Envelope, Origin
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome, Verdict
from m365gw.spool import record
from m365gw.spool.files import Files
from m365gw.spool.health import Corrupt, Health
from m365gw.spool.names import Entry
from m365gw.spool.record import Block, RecipientRecord


class Message:
    """One message, open. Made by `Spool.claim`, ended by the store or by `close`."""

    def __init__(
        self, files: Files, health: Health, fd: int, entry: Entry, block: Block, changing: bytes
    ) -> None:
        self._files = files
        self._health = health
        self._block = block
        self._changing = bytearray(changing)
        self._checked = 0  # octets of the message read in order so far, and their CRC
        self._crc = 0
        self.fd = fd
        self.is_settled = False  # verdicts were written since it was claimed
        self.entry = entry
        self.recipients = tuple(
            RecipientRecord(recipient, *self._outcome(index))
            for index, recipient in enumerate(block.envelope.recipients)
        )

    @property
    def envelope(self) -> Envelope:
        return self._block.envelope

    @property
    def origin(self) -> Origin:
        return self._block.origin

    @property
    def queue_id(self) -> str:
        return self.entry.queue_id

    @property
    def size(self) -> int:
        """Octets of the message, without our block."""
        return self._block.size

    @property
    def reason(self) -> str:
        """Why it was last held, or "". Speaks of now only while it is in state HOLD."""
        return record.parse_reason(bytes(self._changing[self._reason_span]))

    def read(self, offset: int, length: int) -> bytes:
        """Octets of the message from an offset; fewer only at its end.

        Reading it in order checks it as well: Corrupt instead of the last piece when the message
        is not the one that was accepted. Raises SpoolError when the disk cannot read it.
        """
        length = max(0, min(length, self.size - offset))
        with self._health:
            data = self._files.pread(self.fd, length, self._block.length + offset)
        if len(data) != length:
            raise Corrupt("the message is shorter than it was")
        if offset == 0:
            self._checked = self._crc = 0
        if offset == self._checked:
            self._crc = crc32(data, self._crc)
            self._checked += length
            if self._checked == self.size and self._crc != self._block.message_crc:
                raise Corrupt("the message is damaged: its checksum does not fit")
        return data

    def header(self, limit: int) -> bytes:
        """The header section, through the end of its last line; at most `limit` octets."""
        with self._health:
            length = min(limit, self.size)
            data = self._files.pread(self.fd, length, self._block.length)
        if data.startswith(b"\r\n"):
            return b""
        end = data.find(b"\r\n\r\n")
        return data if end < 0 else data[: end + 2]

    def close(self) -> None:
        """Let go of the file. Harmless when done before."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            with self._health:
                self._files.close(fd)

    def detach(self) -> int:
        """Let go of the file without closing it; the descriptor is the caller's."""
        fd, self.fd = self.fd, -1
        return fd

    def write_uncertain(self, recipients: Sequence[int]) -> None:
        """Note in the file that these recipients may be about to get the message."""
        for index in recipients:
            span = record.outcome_span(index)
            letter = span.start + record.LETTER_OFFSET
            self._changing[letter : letter + 1] = Outcome.UNCERTAIN.value.encode()
        self._write_outcomes(recipients)

    def write_verdicts(self, verdicts: Sequence[Verdict], at: float) -> None:
        """Note verdicts in the file; a reply that was there before keeps its first time."""
        for verdict in verdicts:
            known = self.recipients[verdict.recipient]
            first = (
                known.at if known.at and record.is_same_reply(known.reply, verdict.reply) else at
            )
            line = record.render_outcome(verdict.outcome, verdict.reply, first)
            self._changing[record.outcome_span(verdict.recipient)] = line
        self.is_settled = True
        self._write_outcomes([verdict.recipient for verdict in verdicts])

    def write_reason(self, reason: str) -> None:
        """Note in the file why the message is held."""
        line = record.render_reason(reason)
        self._changing[self._reason_span] = line
        self._write(self._reason_span.start, line)

    @property
    def _reason_span(self) -> slice:
        return record.reason_span(len(self.envelope.recipients))

    def _outcome(self, index: int) -> tuple[Outcome, Reply, float]:
        return record.parse_outcome(bytes(self._changing[record.outcome_span(index)]))

    def _write_outcomes(self, indices: Sequence[int]) -> None:
        for first, last in _runs(sorted(indices)):
            start = record.outcome_span(first).start
            stop = record.outcome_span(last).stop
            self._write(start, bytes(self._changing[start:stop]))
        records = list(self.recipients)
        for index in indices:
            records[index] = RecipientRecord(records[index].recipient, *self._outcome(index))
        self.recipients = tuple(records)

    def _write(self, start: int, data: bytes) -> None:
        with self._health:
            self._files.write_all(self.fd, [data], self._block.changing + start)


def _runs(indices: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of neighbours: 1 2 3 7 gives (1, 3) (7, 7)."""
    for _, run in groupby(enumerate(indices), lambda pair: pair[1] - pair[0]):
        members = [index for _, index in run]
        yield members[0], members[-1]
