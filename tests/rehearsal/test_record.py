"""Tests of the record of received messages."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from m365gw.rehearsal.record import ReceivedMessage, Record

CIRCUMSTANCES: dict[str, Any] = {
    "at": 1.0,
    "connection": 1,
    "mailbox": "a@x.example",
    "client_id": "app",
    "sender": "a@x.example",
    "recipients": ("b@x.example",),
}


def add(record: Record, content: bytes) -> ReceivedMessage:
    """Adds a message."""
    return record.add(content, **CIRCUMSTANCES)


class RecordTests(SynchronousTestCase):
    """What is kept, and for how long."""

    def test_messages_are_numbered_and_found(self) -> None:
        """By number, since a number, at most so many."""
        record = Record()
        for content in (b"a", b"b", b"c"):
            add(record, content)
        self.assertEqual([each.number for each in record.messages(1)], [2, 3])
        self.assertEqual([each.number for each in record.messages(0, 2)], [1, 2])
        third = record.message(3)
        assert third is not None
        self.assertEqual((third.content, third.size), (b"c", 1))
        self.assertEqual(third.sha256, hashlib.sha256(b"c").hexdigest())

    def test_oldest_contents_go_first(self) -> None:
        """Over the bound of octets the envelope stays, the content goes."""
        record = Record(most_octets=5)
        add(record, b"aaa")
        add(record, b"bbb")
        self.assertEqual([each.content for each in record.messages()], [None, b"bbb"])

    def test_oldest_messages_go_first(self) -> None:
        """Over the bound of messages the oldest are forgotten; the count goes on."""
        record = Record(most_messages=1)
        add(record, b"aaa")
        add(record, b"bbb")
        self.assertEqual([each.number for each in record.messages()], [2])
        self.assertEqual(record.count, 2)

    def test_digests_only(self) -> None:
        """For measurements contents are not kept."""
        message = add(Record(contents=False), b"aaa")
        self.assertIsNone(message.content)
        self.assertEqual(message.sha256, hashlib.sha256(b"aaa").hexdigest())

    def test_folder(self) -> None:
        """Each message is a pair of files."""
        folder = Path(self.mktemp())
        add(Record(folder), b"aaa\r\n")
        self.assertEqual((folder / "00000001.eml").read_bytes(), b"aaa\r\n")
        facts = json.loads((folder / "00000001.json").read_text())
        self.assertEqual(facts["recipients"], ["b@x.example"])
        self.assertNotIn("content", facts)

    def test_clear(self) -> None:
        """What was received is forgotten, numbers are not used again."""
        record = Record()
        add(record, b"aaa")
        record.clear()
        self.assertEqual(record.messages(), [])
        self.assertEqual(add(record, b"b").number, 2)
