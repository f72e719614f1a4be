"""A claimed message: its envelope, how each recipient stands, and its octets.

The file stays open while the message is claimed, so it can be read whatever happens to its name.
Outcomes change in place. Each write covers whole lines of the recipients it is about and no
others, so two transactions for different recipients of one message never undo each other's marks,
even when one is written by a thread and the other by the reactor.
"""

from __future__ import annotations

import contextlib
import errno
import stat
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from zlib import crc32

from m365gw.smtp.envelope import Envelope, Origin
from m365gw.smtp.verdict import Outcome, Verdict
from m365gw.spool import outcomes, record
from m365gw.spool.files import Files
from m365gw.spool.health import Corrupt, Gone, Health
from m365gw.spool.names import Entry
from m365gw.spool.outcomes import DelayWarning, RecipientRecord
from m365gw.spool.record import Block

# What open(2) says of a name that is not there, or is a link, a folder or a socket.
_NOT_A_MESSAGE = {errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.ENXIO}

FIRST_READ = 16384  # octets read at once to claim a message; most blocks are shorter


class Message:
    """One message, open. Made by `Spool.claim`; ended by the spool, or by `close`."""

    def __init__(
        self, files: Files, health: Health, fd: int, entry: Entry, block: Block, changing: bytes
    ) -> None:
        self._files = files
        self._health = health
        self._block = block
        self._changing = bytearray(changing)
        self._records = [self._record(index) for index in range(len(self.envelope.recipients))]
        self._checked = 0  # octets read in order so far
        self._crc = 0  # of those
        self.fd = fd
        self.entry = entry
        self.is_changed = False  # something was written in place that nobody synced yet

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
    def recipients(self) -> tuple[RecipientRecord, ...]:
        """How each recipient stands, in the order of the envelope."""
        return tuple(self._records)

    @property
    def reason(self) -> str:
        """Why it was last held, or "". Speaks of now only while its state is HOLD."""
        return outcomes.parse_reason(bytes(self._changing[self._reason_span]))

    @property
    def warning(self) -> DelayWarning | None:
        """The report that told, or is about to tell, its sender of a delay."""
        return outcomes.parse_warning(bytes(self._changing[self._warning_span]))

    def warn(self, warning: DelayWarning) -> None:
        """Note it in the file. Raises SpoolError."""
        line = outcomes.render_warning(warning)
        self._changing[self._warning_span] = line
        self._write(self._warning_span.start, line)

    def read(self, offset: int, length: int) -> bytes:
        """Octets of the message from an offset; fewer only at its end.

        Reading it in order checks it too: instead of the last piece it raises Corrupt when the
        message is not the one that was accepted, before anyone could have sent all of it (then:
        `Spool.set_aside`). Raises SpoolError when the disk cannot read it.
        """
        length = max(0, min(length, self.size - offset))
        with self._health.reading:
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
        """The header section through the end of its last line, at most `limit` octets."""
        with self._health.reading:
            data = self._files.pread(self.fd, min(limit, self.size), self._block.length)
        if data.startswith(b"\r\n"):
            return b""
        end = data.find(b"\r\n\r\n")
        return data if end < 0 else data[: end + 2]

    def close(self) -> None:
        """Let go of the file. Harmless when done before."""
        fd = self.detach()
        if fd >= 0:
            with contextlib.suppress(OSError):
                self._files.close(fd)

    # What the spool does with it

    def detach(self) -> int:
        """Let go of the file without closing it; the descriptor is the caller's."""
        fd, self.fd = self.fd, -1
        return fd

    def write_uncertain(self, recipients: Sequence[int]) -> None:
        """Note in the file that these recipients may be about to get the message."""
        for index in recipients:
            letter = outcomes.outcome_span(index).start + outcomes.LETTER_OFFSET
            self._changing[letter : letter + 1] = Outcome.UNCERTAIN.value.encode()
        self._write_outcomes(recipients)

    def write_verdicts(self, verdicts: Sequence[Verdict], at: float) -> None:
        """Note verdicts in the file. A reply that was there before keeps its first time."""
        for verdict in verdicts:
            known = self._records[verdict.recipient]
            is_known = outcomes.is_same_reply(known.reply, verdict.reply)
            line = outcomes.render_outcome(
                verdict.outcome, verdict.reply, known.at if is_known else at
            )
            self._changing[outcomes.outcome_span(verdict.recipient)] = line
        self._write_outcomes([verdict.recipient for verdict in verdicts])

    def write_reason(self, reason: str) -> None:
        """Note in the file why the message is held."""
        line = outcomes.render_reason(reason)
        self._changing[self._reason_span] = line
        self._write(self._reason_span.start, line)

    @property
    def _reason_span(self) -> slice:
        return outcomes.reason_span(len(self.envelope.recipients))

    @property
    def _warning_span(self) -> slice:
        return outcomes.warning_span(len(self.envelope.recipients))

    def _record(self, index: int) -> RecipientRecord:
        line = bytes(self._changing[outcomes.outcome_span(index)])
        return RecipientRecord(self.envelope.recipients[index], *outcomes.parse_outcome(line))

    def _write_outcomes(self, indices: Sequence[int]) -> None:
        for index in indices:
            self._records[index] = self._record(index)
        for first, last in _runs(sorted(indices)):
            start = outcomes.outcome_span(first).start
            stop = outcomes.outcome_span(last).stop
            self._write(start, bytes(self._changing[start:stop]))

    def _write(self, start: int, data: bytes) -> None:
        self.is_changed = True
        with self._health:
            self._files.write_all(self.fd, [data], self._block.changing + start)


def open_message(
    files: Files, health: Health, entry: Entry, paths: Iterable[str], write: bool
) -> Message:
    """The message at the first of these paths that exists ("" is none).

    Raises Gone, Corrupt, or SpoolError when it cannot be read.
    """
    for path in filter(None, paths):
        fd = -1
        with health.reading:
            try:
                fd = files.open(path, write)
            except OSError as error:
                if error.errno not in _NOT_A_MESSAGE:
                    raise
        if fd >= 0:
            try:
                return _read(files, health, fd, entry)
            except BaseException:
                with contextlib.suppress(OSError):
                    files.close(fd)
                raise
    raise Gone(entry.queue_id)


def _read(files: Files, health: Health, fd: int, entry: Entry) -> Message:
    """The message in an open file."""
    with health.reading:
        block, changing = read_block(files, fd)
    if (block.id, block.size) != (entry.id, entry.size):
        raise Corrupt("the file is not the message its name says")
    return Message(files, health, fd, entry, block, changing)


def read_block(files: Files, fd: int) -> tuple[Block, bytes]:
    """The block of an open file, and its changing part. Raises Corrupt and OSError."""
    found = files.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise Corrupt("it is not a regular file")
    data = files.pread(fd, FIRST_READ, 0)
    length = record.block_length(data)
    if length > found.st_size:
        raise Corrupt("the file is shorter than its envelope")
    if length > len(data):
        data += files.pread(fd, length - len(data), len(data))
    block = record.parse(data[:length])
    if block.length + block.size != found.st_size:
        raise Corrupt("the file does not have the length it should have")
    return block, data[block.changing : length]


def _runs(indices: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of neighbours: 1 2 3 7 gives (1, 3) (7, 7)."""
    for _, run in groupby(enumerate(indices), lambda pair: pair[1] - pair[0]):
        members = [index for _, index in run]
        yield members[0], members[-1]
