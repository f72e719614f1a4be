"""The commit log: small messages are durable here first, and in files of their own soon after.

To sync a file that is new costs a commit of the file system's journal, each time. The log has its
place on the disk already, so that overwriting a part of it costs one flush and nothing else: many
times less. A round of messages is written here and synced (`LoggedRound`), and then acknowledged.
Their files, which are whole but hidden, are synced many at a time, the log says so, and they get
their names (`Settling`). Only from then on is a message seen by anyone, so that no crash brings
back one that was already sent.

The log is a ring: rounds follow one another, and take the place of rounds that are settled. What
finds no room, or is large, goes the other way: its file is synced before it is acknowledged
(`round`).

Failures: one kind only. When anything of it fails, the log is broken: it takes nothing more, the
gate closes (`health`), and what is not settled stays in it until it is written to files anew
(`replay`), at the next good trial of the disk or the next start.
"""

from __future__ import annotations

import errno
import secrets
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from attrs import define, frozen

from m365gw.spool import layout
from m365gw.spool.files import Files
from m365gw.spool.health import Health, is_shortage
from m365gw.spool.log_format import (
    BLOCK,
    FIRST_ROUND,
    HEADS,
    ROUND_LENGTH,
    Head,
    blocks,
    render_head,
    render_round,
)
from m365gw.spool.names import Entry

SIZE = 16 * 1024 * 1024  # octets of the file
MOST_AT_ONCE = 256  # messages of a round, and of rounds settled at once
MOST_KEPT = 2 * MOST_AT_ONCE  # messages whose files are held open until they are synced
LOST = OSError(errno.EIO, "the commit log was lost")
_ZEROS = bytes(64 * BLOCK)


@frozen
class Kept:
    """An acknowledged message and its open file, which has no name of its own yet."""

    entry: Entry
    fd: int


@define(eq=False)
class Logged:
    """A round in the log: its number, where it is, and its messages once they are acknowledged."""

    number: int
    offset: int
    count: int
    messages: list[Kept] | None = None


class CommitLog:
    """The log of one spool, open. Made by `create`; for one thread, but for `lose`."""

    def __init__(self, files: Files, health: Health, fd: int, mark: bytes, size: int) -> None:
        self._files = files
        self._health = health
        self._mark = mark
        self._size = size
        self._next = FIRST_ROUND  # offset of the next round
        self._numbers = 0
        self._heads = 1
        self.fd = fd
        self.is_broken = False
        self._lock = threading.Lock()
        self._kept: deque[Logged] = deque()  # rounds whose place is in use, oldest first

    @classmethod
    def create(cls, files: Files, health: Health, size: int) -> CommitLog | None:
        """BLOCKING. A new log of so many octets, all of them written; None when there is no room.

        There must not be one that is still needed. Raises OSError.
        """
        temporary = f"{layout.LOG}.new"
        mark = secrets.token_hex(16).encode()
        fd = files.open_or_create(temporary)
        try:
            files.truncate(fd)
            for start in range(0, size, len(_ZEROS)):
                files.write_all(fd, [_ZEROS[: size - start]], start)
            files.write_all(fd, [render_head(Head(mark, 0))], 0)
            files.fsync(fd)
            files.rename(temporary, layout.LOG)
            layout.sync_folder(files, ".")
        except OSError as error:
            files.close(fd)
            if not is_shortage(error):
                raise
            with suppress(OSError):
                files.unlink(temporary)
            return None
        return cls(files, health, fd, mark, size)

    def append(self, messages: Sequence[Sequence[bytes]]) -> Logged | None:
        """Write a round of message files, to be synced; None when it cannot be in the log."""
        octets = [piece for pieces in messages for piece in pieces]
        length = ROUND_LENGTH + sum(map(len, octets))
        offset = self._place(blocks(length))
        if self.is_broken or offset is None or not self._may_keep(len(messages)):
            return None
        self._numbers += 1
        line = render_round(self._mark, self._numbers, octets)
        try:
            self._write([line, *octets], offset)
        except OSError as error:  # it is not there whole, so it counts for nothing
            if not is_shortage(error):
                self.fail(error)
            return None
        logged = Logged(self._numbers, offset, len(messages))
        self._next = offset + blocks(length)
        self._kept.append(logged)
        return logged

    def take_back(self, logged: Logged) -> None:
        """Its clients are refused. Best effort: what is there whole counts at the next start."""
        with suppress(OSError):
            self._write([bytes(ROUND_LENGTH)], logged.offset)

    def acknowledged(self) -> list[Logged]:
        """The oldest rounds that are acknowledged, with MOST_AT_ONCE messages or fewer."""
        found: list[Logged] = []
        most = MOST_AT_ONCE
        for logged in self._kept:
            most -= logged.count
            if logged.messages is None or most < 0:
                break
            found.append(logged)
        return found

    def write_settled(self, number: int) -> None:
        """Note, to be synced, that rounds up to this one are safe as files. Raises OSError."""
        self._write([render_head(Head(self._mark, number))], self._heads % HEADS * BLOCK)
        self._heads += 1

    def free(self, number: int) -> None:
        """That was synced: the places of rounds up to this one may be used again."""
        while self._kept and self._kept[0].number <= number:
            self._kept.popleft()

    def fail(self, error: OSError) -> None:
        """The log is broken, for this reason: the gate closes, and all files are let go of."""
        self.lose()
        self._close_files()
        self._health.fail(error)

    def lose(self) -> None:
        """The log is broken, or its disk is let go of. May be called by any thread."""
        with self._lock:
            self.is_broken = True
            fd, self.fd = self.fd, -1
            if fd >= 0:
                with suppress(OSError):
                    self._files.close(fd)

    def close(self) -> None:
        """Let go of all files. A log of which nothing is needed any more is removed."""
        is_needed = self.is_broken or bool(self._kept)
        self.lose()
        self._close_files()
        if not is_needed:
            with suppress(OSError):
                self._files.unlink(layout.LOG)

    def _close_files(self) -> None:
        for logged in self._kept:
            for kept in logged.messages or ():
                with suppress(OSError):
                    self._files.close(kept.fd)
        self._kept.clear()

    def _write(self, octets: Sequence[bytes], offset: int) -> None:
        with self._lock:  # its number may be another file's once it is lost
            self._files.write_all(self.fd, octets, offset)

    def _may_keep(self, count: int) -> bool:
        kept = sum(logged.count for logged in self._kept)
        return count <= MOST_AT_ONCE and kept + count <= MOST_KEPT

    def _place(self, length: int) -> int | None:
        """Where a round of so many octets can go; None when it would touch one still needed."""
        oldest = self._kept[0].offset if self._kept else 0
        if oldest >= self._next:  # the rounds in use go beyond the end, and on at the beginning
            return self._next if self._next + length <= oldest else None
        if self._next + length <= self._size:
            return self._next
        return FIRST_ROUND if FIRST_ROUND + length <= (oldest or self._size) else None
