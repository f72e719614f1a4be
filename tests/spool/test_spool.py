"""The store: mail out, and the moves between states."""

from __future__ import annotations

import errno
import os

from attrs import evolve

from m365gw.smtp.envelope import Envelope, Recipient
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome, Verdict
from m365gw.spool.health import Gone, SpoolError
from m365gw.spool.message import Message
from m365gw.spool.names import State
from m365gw.spool.outcomes import NO_REPLY
from tests.spool.cases import CONTENT, ENVELOPE, LATER, ORIGIN, SpoolCase


class ClaimTests(SpoolCase):
    """Mail out."""

    def test_claim_gives_everything_back(self) -> None:
        """Envelope, origin, size, header, and recipients that nobody tried yet."""
        message = self.claimed(self.accept())
        self.assertEqual((ENVELOPE, ORIGIN), (message.envelope, message.origin))
        self.assertEqual(b"Subject: test\r\nFrom: a@example.com\r\n", message.header(10_000))
        self.assertEqual(b"Subj", message.header(4))
        self.assertEqual({(Outcome.PENDING, NO_REPLY, 0.0)}, states(message))
        self.assertEqual("", message.reason)

    def test_header_of_a_message_without_one(self) -> None:
        """A message that begins with its body has no header."""
        self.assertEqual(b"", self.claimed(self.accept(b"\r\nbody\r\n")).header(100))
        self.assertEqual(
            b"Subject: x\r\n", self.claimed(self.accept(b"Subject: x\r\n")).header(100)
        )

    def test_a_thousand_recipients(self) -> None:
        """A block longer than the first read is read whole."""
        many = Envelope("a@b", tuple(Recipient(f"{n}@example.net") for n in range(1000)))
        message = self.claimed(self.accept(envelope=many))
        self.assertEqual((many, CONTENT), (message.envelope, message.read(0, 1000)))

    def test_outcomes_are_kept_in_place(self) -> None:
        """Verdicts are there at the next claim; recipients without one are as they were."""
        entry = self.accept()
        message = self.claimed(entry)
        size = os.stat(self.file_of(entry)).st_size
        self.spool.mark(message, [0, 1, 3])
        verdicts = [
            Verdict(3, Outcome.DELIVERED, Reply(250, "2.0.0", "OK")),
            Verdict(0, Outcome.FAILED, Reply(550, "5.1.1", "No such user")),
        ]
        self.spool.settle(message, verdicts, 1000.5)
        again = self.claimed(entry)
        self.assertEqual(message.recipients, again.recipients)
        outcomes = [one.outcome.value for one in again.recipients]
        self.assertEqual(["B", "U", "T", "D"], outcomes)
        self.assertEqual((Reply(550, "5.1.1", "No such user"), 1000.0), last(again, 0))
        self.assertEqual((NO_REPLY, 0.0), last(again, 1))
        self.assertEqual(size, os.stat(self.file_of(entry)).st_size)
        self.assertEqual(CONTENT, again.read(0, 1000))

    def test_same_reply_keeps_its_first_time(self) -> None:
        """How long a reply has been the same decides about bounces: the first time counts."""
        message = self.claimed(self.accept())
        for at, text in ((10.0, "later [A 1]"), (20.0, "later [B 2]"), (30.0, "never [C 3]")):
            verdict = Verdict(0, Outcome.PENDING, Reply(451, "4.3.2", text))
            self.spool.settle(message, [verdict], at)
            expected = (verdict.reply, 30.0 if at == 30.0 else 10.0)
            self.assertEqual(expected, last(message, 0))
            self.spool.mark(message, [0])  # a mark keeps the reply that was there
            self.assertEqual(expected, last(message, 0))

    def test_mark_is_on_disk_before_it_returns(self) -> None:
        """One write for neighbours, then a sync; when that fails the dot must not be sent."""
        entry = self.accept()
        calls = self.faulty(fails_at=2, error=errno.EIO, only=frozenset({"fdatasync", "pwritev"}))
        message = self.claimed(entry)
        refused = self.assertRaises(SpoolError, self.spool.mark, message, [2, 1])
        self.assertEqual(["pwritev", "fdatasync"], calls.made)
        self.assertEqual(451, refused.reply.code)
        self.assertTrue(self.spool.health.closed)

    def test_marks_write_only_their_own_lines(self) -> None:
        """Two claims of groups of one message never undo each other's outcomes."""
        entry = self.accept()
        one, other = self.claimed(entry), self.claimed(entry)
        self.spool.settle(one, [Verdict(1, Outcome.DELIVERED, NO_REPLY)], 1.0)
        self.spool.mark(other, [0, 2, 3])
        outcomes = [record.outcome.value for record in self.claimed(entry).recipients]
        self.assertEqual(["U", "D", "U", "U"], outcomes)

    def test_defer_counts_and_wait_does_not(self) -> None:
        """Both rest in deferred with a time; only the message's own fault is an attempt."""
        entry = self.spool.defer(self.claimed(self.accept()), 500)
        self.assertEqual((State.DEFERRED, 500, 1), (entry.state, entry.due, entry.attempts))
        entry = self.spool.wait(self.claimed(entry), 900)
        self.assertEqual((State.DEFERRED, 900, 1), (entry.state, entry.due, entry.attempts))
        self.assertEqual([entry], list(self.spool.entries()))
        self.assertEqual([], list(self.spool.entries(State.INCOMING, State.HOLD)))

    def test_hold_and_move_back(self) -> None:
        """A held message bears its reason; what is no longer there cannot be moved."""
        held = self.spool.hold(self.claimed(self.accept()), "Sign-in of\r\nthe mailbox ended")
        self.assertEqual("Sign-in of the mailbox ended", self.claimed(held).reason)
        released = self.spool.move(held, evolve(held, state=State.INCOMING))
        self.assertEqual([released], list(self.spool.entries(State.INCOMING)))
        self.assertRaises(Gone, self.spool.move, held, released)

    def test_remove_is_the_end(self) -> None:
        """The file is gone, the claim ended, and the folder is synced when asked for."""
        entry = self.accept()
        message = self.claimed(entry)
        calls = self.faulty()
        message = self.claimed(entry)
        self.assertFalse(self.spool.has_unsynced)
        self.spool.remove(message)
        self.assertRaises(Gone, self.spool.claim, entry)
        self.assertTrue(self.spool.has_unsynced)
        self.spool.sync_removals()
        self.assertEqual(["open_folder", "fsync", "close"], calls.made[-3:])
        self.assertFalse(self.spool.has_unsynced)

    def test_removing_what_somebody_removed_is_done(self) -> None:
        """An operator's rm beside us is no error."""
        entry = self.accept()
        message = self.claimed(entry)
        os.unlink(self.file_of(entry))
        self.spool.remove(message)
        self.assertEqual([], list(self.spool.entries()))

    def test_find_looks_everywhere(self) -> None:
        """By id in any letter case, in each state; None for what is none."""
        entry = self.accept()
        self.assertEqual(entry, self.spool.find(entry.queue_id.lower()))
        entry = self.spool.defer(self.claimed(entry), 5)
        self.assertEqual(entry, self.spool.find(entry.queue_id))
        entry = self.spool.hold(self.claimed(entry), "x")
        self.assertEqual(entry, self.spool.find(entry.queue_id))
        self.assertIsNone(self.spool.find("0" * 13))
        self.assertIsNone(self.spool.find("../../etc/passwd"))

    def test_no_file_stays_open(self) -> None:
        """A day of mail leaves as many open files as it found."""
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            entry = self.accept(b"x" * 300_000)
            self.assertRaises(Gone, self.spool.claim, evolve(entry, state=State.HOLD))
            message = self.spool.claim(entry)
            self.spool.settle(message, [Verdict(0, Outcome.PENDING, LATER)], 5.0)
            message = self.spool.claim(self.spool.defer(message, 5))
            self.spool.remove(message)
            self.spool.sync_removals()
        self.assertEqual(before, len(os.listdir("/proc/self/fd")))


def states(message: Message) -> set[tuple[Outcome, Reply, float]]:
    return {(one.outcome, one.reply, one.at) for one in message.recipients}


def last(message: Message, index: int) -> tuple[Reply, float]:
    one = message.recipients[index]
    return one.reply, one.at
