"""What the tests of the store share: a spool on a real disk."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.smtp.replies import Reply
from m365gw.spool.files import Files
from m365gw.spool.layout import path_of
from m365gw.spool.message import Message
from m365gw.spool.names import Entry
from m365gw.spool.spool import Spool
from tests.spool.faults import FaultyFiles

ENVELOPE = Envelope("a@example.com", tuple(Recipient(f"r{n}@example.net") for n in range(4)))
ORIGIN = Origin("192.0.2.1", 4321, "client", login="Printer3", mailbox="Relay@example.com")
CONTENT = b"Subject: test\r\nFrom: a@example.com\r\n\r\nHello\r\n"
LATER = Reply(451, "4.3.2", "Try later")
HOSTILE = "a\r\nX-M365GW-Spool: 1\r\n\r\n.\r\n\0\x85\u2028é\udcff"
TEXT = st.one_of(st.text(max_size=40), st.just(HOSTILE), st.text(min_size=300, max_size=500))


class SpoolCase(SynchronousTestCase):
    """A spool in a folder of its own, at a time that stands still."""

    def setUp(self) -> None:
        self.now = 1_700_000_000.0
        self.path = os.path.abspath(self.mktemp())
        self.spool = self.opened()

    def tearDown(self) -> None:
        self.spool.close()

    def opened(self, **options: Any) -> Spool:
        return Spool.open(self.path, hostname="a.example", clock=lambda: self.now, **options)

    def reopen(self, **options: Any) -> Spool:
        self.spool.close()
        self.spool = self.opened(**options)
        return self.spool

    def faulty(self, **faults: Any) -> FaultyFiles:
        """Reopen the spool with calls that fail; returns them, counting from now."""
        calls: list[FaultyFiles] = []

        def files(path: str) -> Files:
            calls.append(FaultyFiles(Files(path), **faults))
            return calls[0]

        self.reopen(files=files)
        calls[0].begin()
        return calls[0]

    def accept(self, content: bytes = CONTENT, envelope: Envelope = ENVELOPE) -> Entry:
        draft = self.spool.draft(envelope, ORIGIN)
        draft.write(content)
        draft.finish()
        [entry] = self.spool.commit([draft])
        assert isinstance(entry, Entry)
        return entry

    def claimed(self, entry: Entry) -> Message:
        message = self.spool.claim(entry)
        self.addCleanup(message.close)
        return message

    def file_of(self, entry: Entry) -> str:
        return os.path.join(self.path, path_of(entry))
