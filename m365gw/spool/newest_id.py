"""The newest queue id, noted on disk, so that none is given again when the clock is set back.

Written every ten seconds and not synced: `QueueIds` allows for that.

Failures: none but those of the disk when it is read (OSError).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from m365gw.spool import layout
from m365gw.spool.files import Files

NAME = "newest-id"
EVERY = 10.0  # seconds


class NewestId:
    """The note in one spool."""

    def __init__(self, files: Files, clock: Callable[[], float]) -> None:
        self._files = files
        self._clock = clock
        self._noted_at = 0.0

    def read(self) -> int:
        """An id near the last that was given, 0 for none."""
        try:
            return int(layout.read(self._files, NAME) or b"0", 16)
        except ValueError:
            return 0

    def note(self, number: int) -> None:
        """This id was given."""
        now = self._clock()
        if abs(now - self._noted_at) >= EVERY:
            self._noted_at = now
            with contextlib.suppress(OSError):
                self._write(number)

    def _write(self, number: int) -> None:
        fd = self._files.open_or_create(NAME)
        try:
            self._files.write_all(fd, [b"%016x\n" % number], 0)
        finally:
            self._files.close(fd)
