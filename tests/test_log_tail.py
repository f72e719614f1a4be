"""The end of the log: what was written lately, found again."""

from __future__ import annotations

import io

from twisted.trial.unittest import SynchronousTestCase

from m365gw.events import EventLog
from m365gw.log_tail import Filter, LogTail

QUEUED = "4Q7BX2K9M3PDW"


class LogTailTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.tail = LogTail(kept=10)
        self.log = EventLog(io.StringIO(), hostname="gw", clock=lambda: 1.0)
        self.log.readers.append(self.tail.heard)

    def words(self, **wanted: str) -> list[str]:
        return [entry.words for entry in self.tail.last(Filter(**wanted), 100)]

    def test_what_is_written_is_there(self) -> None:
        """Below the level nothing is written, and so nothing is here."""
        self.log.emit("message.queued", "smtpd", QUEUED, client="unknown[10.1.0.7]", size=12)
        self.log.emit("trace", "smtp", level="debug", note="EHLO")
        self.log.emit("service.stopping", "master", note="no more mail is taken")
        self.assertEqual(
            self.words(), ["client=unknown[10.1.0.7], size=12", "no more mail is taken"]
        )

    def test_filters(self) -> None:
        """By level and graver, program, message, client or login, mailbox, and any words."""
        self.log.emit("message.queued", "smtpd", QUEUED, client="unknown[10.1.0.7]", mailbox="a@b")
        self.log.emit("login.failed", "smtpd", level="warn", sasl_username="fax", note="wrong")
        self.log.emit("service.failed", "master", level="error", note="Cannot start")
        for wanted, count in (
            ({"level": "warn"}, 2),
            ({"level": "error"}, 1),
            ({"program": "smtpd"}, 2),
            ({"message": "4q7b"}, 1),
            ({"client": "10.1.0.7"}, 1),
            ({"client": "fax"}, 1),
            ({"mailbox": "a@b"}, 1),
            ({"text": "cannot"}, 1),
            ({"text": "nothing like that"}, 0),
            ({"level": "no level"}, 3),
        ):
            with self.subTest(wanted=wanted):
                self.assertEqual(len(self.words(**wanted)), count)

    def test_it_is_bounded(self) -> None:
        """The oldest go; numbers go on, so whoever has seen some gets only what is new."""
        for number in range(25):
            self.log.emit("x", "smtpd", note=str(number))
        entries = self.tail.last(Filter(), 100)
        self.assertEqual([entry.number for entry in entries], list(range(16, 26)))
        self.assertEqual([e.note for e in self.tail.last(Filter(), 100, seen=23)], ["23", "24"])
        self.assertEqual([entry.note for entry in self.tail.last(Filter(), 2)], ["23", "24"])

    def test_what_is_said_cannot_harm(self) -> None:
        """Values from outside are as harmless as in the log itself."""
        self.log.emit("x", "smtpd", note="a\x1b[31m\nb", helo="\u202eevil")
        self.assertEqual(self.words(), ["helo=?evil (a?[31m?b)"])
