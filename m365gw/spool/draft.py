"""A message while it arrives: in memory up to a bound, beyond it in a file of `incoming/tmp`.

A draft is nothing yet. `finish` writes it out whole, `Spool.commit` makes it durable and visible;
before that it can vanish at any time and nobody was promised anything. When a call fails the
draft is discarded and the SpoolError that says so is raised, then and at each later call.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from zlib import crc32

from m365gw.smtp.envelope import Envelope, Origin
from m365gw.spool import layout
from m365gw.spool.files import Files
from m365gw.spool.health import Health, SpoolError
from m365gw.spool.names import Entry, State, render_id, tag
from m365gw.spool.record import Composer

MEMORY_LIMIT = 131072  # octets of a message kept in memory while it arrives


class Draft:
    """One message on its way in. Made by `Spool.draft`; used by one thread at a time."""

    def __init__(
        self, files: Files, health: Health, number: int, envelope: Envelope, origin: Origin
    ) -> None:
        self._files = files
        self._health = health
        self._composer = Composer(envelope, origin)
        self._chunks: list[bytes] = []
        self._in_memory = 0
        self._crc = 0
        self.failure: SpoolError | None = None
        self._mailbox = tag(origin.mailbox)
        self._source = tag(origin.source)
        self.id = number
        self.queue_id = render_id(number)
        self.path = f"incoming/tmp/{self.queue_id}"
        self.fd = -1
        self.size = 0
        self.finished = False

    def write(self, chunk: bytes) -> None:
        """Octets of the message, in any pieces."""
        self._check()
        self._crc = crc32(chunk, self._crc)
        self._chunks.append(chunk)
        self.size += len(chunk)
        self._in_memory += len(chunk)
        if self._in_memory > MEMORY_LIMIT:
            self._write_out(b"")

    def finish(self) -> None:
        """The message is complete: all of it goes to its file. Not yet durable."""
        self._check()
        block = self._composer.compose(self.id, self.size, self._crc)
        self._write_out(block)
        self.finished = True

    def discard(self) -> None:
        """Forget the message. Harmless at any time before it was acknowledged."""
        self._chunks.clear()
        fd, self.fd = self.fd, -1
        if fd >= 0:
            # Best effort: what stays in tmp is swept at the next start.
            with contextlib.suppress(OSError):
                self._files.unlink(self.path)
            with contextlib.suppress(OSError):
                self._files.close(fd)

    # What `Spool.commit` does with it, step by step and beside others

    def start_writing(self) -> None:
        """Let the disk begin, so that the syncs of a batch do not wait for one another."""
        if self.failure is None:
            self._files.start_writing(self.fd)

    def sync(self) -> None:
        """BLOCKING. Make the file durable; on an error the draft has failed."""
        self._step(lambda: self._files.fsync(self.fd))

    def show(self) -> None:
        """Give the file its name in `incoming/new`; on an error the draft has failed."""
        path = layout.path_of(self._entry())
        self._step(lambda: self._files.rename(self.path, path))
        self.path = path

    def settle(self) -> Entry:
        """The message is durable and visible; the draft ends."""
        fd, self.fd = self.fd, -1
        with contextlib.suppress(OSError):
            self._files.close(fd)
        return self._entry()

    def fail(self, error: SpoolError) -> None:
        """Discard the draft for this reason."""
        self.failure = error
        self.discard()

    def _step(self, call: Callable[[], None]) -> None:
        if self.failure is None:
            try:
                with self._health:
                    call()
            except SpoolError as error:
                self.fail(error)

    def _entry(self) -> Entry:
        return Entry(self.id, State.INCOMING, self.size, 0, 0, self._mailbox, self._source)

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _write_out(self, block: bytes) -> None:
        """Write what is in memory behind what is in the file, and the block before it all."""
        buffers, self._chunks = self._chunks, []
        offset = self._composer.length + self.size - self._in_memory
        self._in_memory = 0
        try:
            with self._health:
                if self.fd < 0:
                    self.fd = self._files.create(self.path)
                    if block:
                        buffers.insert(0, block)
                        block, offset = b"", 0
                self._files.write_all(self.fd, buffers, offset)
                self._files.write_all(self.fd, [block], 0)
        except SpoolError as error:
            self.fail(error)
            raise
