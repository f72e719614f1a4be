"""What a crash left of mail that was coming in."""

from __future__ import annotations

import errno
import os

from m365gw.spool.draft import MEMORY_LIMIT
from m365gw.spool.files import Files
from m365gw.spool.names import State
from tests.spool.cases import CONTENT, ENVELOPE, ORIGIN, SpoolCase


class LeftoverTests(SpoolCase):
    def listed(self, folder: str) -> list[str]:
        return os.listdir(os.path.join(self.path, folder))

    def test_half_a_draft_is_swept(self) -> None:
        """What was never acknowledged goes; what was accepted stays."""
        entry = self.accept()
        self.spool.draft(ENVELOPE, ORIGIN).write(b"x" * (MEMORY_LIMIT + 1))
        self.assertEqual(1, len(self.listed("incoming/tmp")))
        self.reopen()
        self.assertEqual([], self.listed("incoming/tmp"))
        self.assertEqual([entry], list(self.spool.entries()))

    def test_a_whole_message_is_taken_up(self) -> None:
        """It may have had its 250: a message that only lacks its name gets it."""
        draft = self.spool.draft(ENVELOPE, ORIGIN)
        draft.write(CONTENT)
        draft.finish()
        self.assertEqual([f".{draft.queue_id}"], self.listed("incoming/new"))
        self.assertEqual([], list(self.spool.entries()))
        self.reopen()
        (entry,) = self.spool.entries()
        self.assertEqual((draft.queue_id, State.INCOMING), (entry.queue_id, entry.state))
        message = self.spool.claim(entry)
        self.addCleanup(message.close)
        self.assertEqual(CONTENT, message.read(0, message.size))
        self.assertEqual((ENVELOPE, ORIGIN), (message.envelope, message.origin))

    def hidden(self) -> str:
        """The path of a message on its way to be durable."""
        draft = self.spool.draft(ENVELOPE, ORIGIN)
        draft.write(CONTENT)
        draft.finish()
        return os.path.join(self.path, "incoming/new", f".{draft.queue_id}")

    def test_less_than_a_message_is_swept(self) -> None:
        """Cut at any place, it had no 250."""
        for kept in (0, 20, 300, -1):
            with self.subTest(kept=kept):
                path = self.hidden()
                os.truncate(path, kept if kept >= 0 else os.path.getsize(path) - 1)
                self.reopen()
                self.assertEqual([], self.listed("incoming/new"))
                self.assertEqual([], list(self.spool.entries()))

    def test_a_message_that_cannot_be_read_now_is_shown(self) -> None:
        """It may have had its 250, so it does not stay hidden: who claims it says what is wrong."""

        class Unreadable(Files):
            def pread(self, fd: int, length: int, offset: int) -> bytes:
                if offset > 300:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                return os.pread(fd, length, offset)

        self.hidden()
        self.reopen(files=Unreadable)
        (entry,) = self.spool.entries()
        self.assertEqual(State.INCOMING, entry.state)

    def test_a_torn_message_is_kept_to_be_looked_at(self) -> None:
        """All its octets and not the right ones: set aside, never sent."""
        with open(self.hidden(), "r+b") as file:
            file.seek(-5, os.SEEK_END)
            file.write(b"\0\0\0\0\0")
        self.reopen()
        (entry,) = self.spool.entries()
        self.assertEqual(State.CORRUPT, entry.state)
