"""A message while it arrives: in memory up to a bound, beyond it in a file of `incoming/tmp`.

A draft is nothing yet. `finish` writes it out whole, to a hidden name in `incoming/new`, and
`Spool.commit` makes it durable and then visible; before that it may vanish at any time, and nobody
was promised anything. When a call fails, the draft is discarded, and the SpoolError that says why
is raised then and at each later call.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator
from zlib import crc32

from m365gw.smtp.envelope import Envelope, Origin
from m365gw.spool import layout
from m365gw.spool.commit_log import Kept
from m365gw.spool.files import Files
from m365gw.spool.health import Health, SpoolError
from m365gw.spool.names import Entry, State, render_id, tag
from m365gw.spool.record import Composer

MEMORY_LIMIT = 131072  # octets of a message kept in memory while it arrives
PIECE = 65536  # octets read again at a time


class Draft:
    """One message on its way in. Made by `Spool.draft`.

    Used by one thread at a time: from the call of `Spool.commit` until that returns it belongs to
    the sync thread, and must not even be discarded by another.
    """

    def __init__(
        self, files: Files, health: Health, number: int, envelope: Envelope, origin: Origin
    ) -> None:
        self._files = files
        self._health = health
        self._envelope, self._origin = envelope, origin
        self._temporary = f"incoming/tmp/{render_id(number)}"
        self._composer = Composer(envelope, origin)
        self._mailbox = tag(origin.mailbox)
        self._source = tag(origin.source)
        self._chunks: list[bytes] = []  # what is not in the file yet
        self._in_memory = 0  # its octets
        self._octets: list[bytes] = []  # of its whole file, when that was written at once
        self._crc = 0
        self.id = number
        self.queue_id = render_id(number)
        self._path = ""  # of its file, once there is one
        self._fd = -1
        self.size = 0  # octets of the message so far
        self.finished = False
        self.failure: SpoolError | None = None

    def write(self, chunk: bytes) -> None:
        """Octets of the message, in pieces of any size. Raises SpoolError."""
        self._check()
        self._crc = crc32(chunk, self._crc)
        self._chunks.append(chunk)
        self.size += len(chunk)
        self._in_memory += len(chunk)
        if self._in_memory > MEMORY_LIMIT:
            self._write_out()

    def again(self) -> Draft:
        """A draft of the same message with nothing written yet, to take the place of this one."""
        draft = Draft(self._files, self._health, self.id, self._envelope, self._origin)
        draft._temporary = f"{self._temporary}.again"
        return draft

    def octets(self) -> Iterator[bytes]:
        """BLOCKING. The message as written so far, before it is finished. Raises SpoolError."""
        self._check()
        in_file = self.size - self._in_memory
        if in_file:
            with self._health:
                fd = self._files.open(self._path, False)
            try:
                for start in range(0, in_file, PIECE):
                    length = min(PIECE, in_file - start)
                    with self._health:
                        octets = self._files.pread(fd, length, self._composer.length + start)
                        if len(octets) < length:
                            raise OSError(errno.EIO, "the file is shorter than it was written")
                    yield octets
            finally:
                self._files.close(fd)
        yield from self._chunks

    def finish(self) -> None:
        """The message is complete: all of it goes to its file. Raises SpoolError.

        It is not durable yet, but everything that costs the processor was done here.
        """
        self._check()
        if self._health.closed:
            self.fail(SpoolError(OSError(errno.EIO, self._health.cause)))
            self._check()
        self._write_out(self._composer.compose(self.id, self.size, self._crc))
        self._move(layout.hidden_path(self.queue_id))
        self._check()
        self.finished = True

    def discard(self) -> None:
        """Forget the message; a commit will refuse it. Harmless when it has ended already."""
        if self.failure is None:
            self.failure = SpoolError(OSError(errno.ECANCELED, "the message was discarded"))
        self._chunks.clear()
        self._octets = []
        fd, self._fd = self._fd, -1
        if fd >= 0:
            # Best effort. What stays is swept at the next start, or, if it was whole, taken up.
            try:
                self._files.unlink(self._path)
            except OSError:
                self._health.refused.add(self.id)  # not to be taken for one that was acknowledged
            with contextlib.suppress(OSError):
                self._files.close(fd)

    # The steps of a commit, each for all drafts of a batch before the next

    @property
    def fd(self) -> int:
        """Of its file, which is to be synced with the others of the batch."""
        return self._fd

    @property
    def octets_of_file(self) -> list[bytes]:
        """All of its file; nothing when it has failed, or was too large to be kept in memory."""
        return self._octets if self.finished and self.failure is None else []

    def hand_over(self) -> Kept:
        """The draft is no more: its message is durable elsewhere, and its file may stay open."""
        fd, self._fd = self._fd, -1
        self._octets = []
        self._health.refused.discard(self.id)
        return Kept(self._entry(), fd)

    def synced(self, error: OSError | None) -> None:
        """What the sync of its file came to."""

        def tell() -> None:
            if error is not None:
                raise error

        self._step(tell)

    def show(self) -> None:
        """Give the durable file its own name."""
        self._move(layout.path_of(self._entry()))

    def fail(self, error: SpoolError) -> None:
        """Discard the draft for this reason."""
        self.failure = error
        self.discard()

    def end(self) -> Entry | SpoolError:
        """The draft is no more: what became of it."""
        if self.failure is not None:
            return self.failure
        fd, self._fd = self._fd, -1
        self._octets = []
        with contextlib.suppress(OSError):
            self._files.close(fd)
        # It will be acknowledged, whatever became of a draft whose place it took (`again`).
        self._health.refused.discard(self.id)
        return self._entry()

    def _step(self, call: Callable[[], None]) -> None:
        if self.failure is None:
            try:
                with self._health:
                    call()
            except SpoolError as error:
                self.fail(error)

    def _move(self, path: str) -> None:
        if path != self._path:
            self._step(lambda: self._files.rename(self._path, path))
            self._path = path if self.failure is None else ""

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _write_out(self, block: bytes = b"") -> None:
        """Write what is in memory behind what is in the file, and the block before it all."""
        chunks, self._chunks = self._chunks, []
        start = self._composer.length + self.size - self._in_memory
        self._in_memory = 0
        self._step(lambda: self._put(block, chunks, start))
        self._check()

    def _put(self, block: bytes, chunks: list[bytes], start: int) -> None:
        if self._fd < 0 and block:  # the usual case: all at once, and under the hidden name
            self._create(layout.hidden_path(self.queue_id))
            self._octets = [block, *chunks]
            self._files.write_all(self._fd, self._octets, 0)
            return
        if self._fd < 0:
            self._create(self._temporary)
        self._files.write_all(self._fd, chunks, start)
        self._files.write_all(self._fd, [block], 0)

    def _create(self, path: str) -> None:
        self._fd = self._files.create(path)
        self._path = path

    def _entry(self) -> Entry:
        return Entry(self.id, State.INCOMING, self.size, 0, 0, self._mailbox, self._source)
