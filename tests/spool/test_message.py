"""Files that are not what was accepted."""

from __future__ import annotations

import errno
import os

from m365gw.spool.health import Corrupt, SpoolError
from m365gw.spool.names import Entry, State
from tests.spool.cases import SpoolCase


class DamageTests(SpoolCase):
    """Files that are not what was accepted."""

    def assert_set_aside(self, entry: Entry) -> None:
        self.assertRaises(Corrupt, self.spool.claim, entry)
        [aside] = self.spool.entries(State.CORRUPT)
        self.assertEqual(entry.id, aside.id)
        self.assertTrue(os.path.exists(self.file_of(aside)))
        self.assertRaises(Corrupt, self.spool.claim, aside)  # and it stays there

    def test_empty_file(self) -> None:
        """A file without its octets goes to corrupt, and is kept."""
        entry = self.accept()
        os.truncate(self.file_of(entry), 0)
        self.assert_set_aside(entry)

    def test_file_cut_short(self) -> None:
        """So does one without its end, or without a part of its block."""
        entry = self.accept()
        os.truncate(self.file_of(entry), os.stat(self.file_of(entry)).st_size - 1)
        self.assert_set_aside(entry)

    def test_block_cut_short(self) -> None:
        """So does one that ends within its block."""
        entry = self.accept()
        os.truncate(self.file_of(entry), 300)
        self.assert_set_aside(entry)

    def test_damaged_envelope(self) -> None:
        """So does one whose envelope was changed."""
        entry = self.accept()
        with open(self.file_of(entry), "r+b") as file:
            data = file.read()
            file.seek(data.index(b"r0@example.net"))
            file.write(b"R")
        self.assert_set_aside(entry)

    def test_file_of_another_message(self) -> None:
        """So does one whose name tells of another message."""
        entry = self.accept()
        other = self.accept()
        os.replace(self.file_of(other), self.file_of(entry))
        self.assert_set_aside(entry)

    def test_damaged_content_is_never_read_to_its_end(self) -> None:
        """A changed octet is found before the last piece could be sent."""
        content = b"Subject: x\r\n\r\n" + b"y" * 300_000
        entry = self.accept(content)
        with open(self.file_of(entry), "r+b") as file:
            file.seek(-200_000, os.SEEK_END)
            file.write(b"z")
        message = self.claimed(entry)
        for start in range(0, 262_144, 65536):
            self.assertEqual(65536, len(message.read(start, 65536)))
        self.assertRaises(Corrupt, message.read, 262_144, 65536)
        self.assertRaises(Corrupt, message.read, 0, len(content))
        self.spool.set_aside(entry)
        self.assertEqual(1, len(list(self.spool.entries(State.CORRUPT))))

    def test_disk_that_cannot_be_read_is_not_the_message(self) -> None:
        """EIO leaves the message where it is, and one bad sector stops no other message."""
        entry = self.accept()
        self.faulty(fails_at=1, error=errno.EIO, only=frozenset({"pread"}))
        self.assertRaises(SpoolError, self.spool.claim, entry)
        self.assertEqual([entry], list(self.spool.entries()))
        self.assertFalse(self.spool.health.closed)
