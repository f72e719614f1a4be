"""What was changed in the spool and is not durable yet: folders by name, outcomes by their file.

Removals, moves and outcomes are synced together, once a second, and not one by one. What a power
loss undoes before that is done again: nothing is lost by it.

Failures: `SpoolError` from `sync`; what was not reached stays to be synced.
"""

from __future__ import annotations

import contextlib

from m365gw.spool import layout
from m365gw.spool.files import Files
from m365gw.spool.health import Health
from m365gw.spool.message import Message
from m365gw.spool.names import Entry

# Files kept open to have their outcomes synced; those of more the kernel writes when it likes.
MOST_OUTCOMES = 256


class Unsynced:
    """Changes since the last `sync`. Notes come from one thread, `sync` may run in another."""

    def __init__(self, files: Files, health: Health) -> None:
        self._files = files
        self._health = health
        self._folders: set[str] = set()
        self._outcomes: set[int] = set()  # descriptors, ours to close

    def __bool__(self) -> bool:
        return bool(self._folders or self._outcomes)

    def folders_of(self, *entries: Entry) -> None:
        """The names in the folders of these entries changed."""
        self._folders.update(map(layout.folder_of, entries))

    def outcome(self, message: Message) -> None:
        """A claim ends; what was noted in the message is still to be synced."""
        if message.is_changed and len(self._outcomes) < MOST_OUTCOMES:
            self._outcomes.add(message.detach())
        message.close()

    def sync(self) -> None:
        """BLOCKING. Make it all durable. Raises SpoolError."""
        with self._health:
            while self._outcomes:
                fd = self._outcomes.pop()
                try:
                    self._files.fdatasync(fd)
                finally:
                    self._files.close(fd)
            while self._folders:
                layout.sync_folder(self._files, self._folders.pop())

    def close(self) -> None:
        """Let go of the files."""
        while self._outcomes:
            with contextlib.suppress(OSError):
                self._files.close(self._outcomes.pop())
