"""Taking in files from elsewhere: nothing is lost, nothing comes twice."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.smtp.verdict import Outcome, Verdict
from m365gw.spool.adoption import Found, NotAdopted, adopt, read_message, read_spool_file
from m365gw.spool.files import Files
from m365gw.spool.names import Entry, State
from m365gw.spool.spool import Spool
from tests.spool.cases import CONTENT, ENVELOPE, LATER, ORIGIN, SpoolCase
from tests.spool.faults import Died, FaultyFiles
from tests.spool.memory import MemoryFiles
from tests.spool.test_crash import SENT, opened, opened_beside

BY_HAND = Envelope("a@example.com", (Recipient("b@example.net"),))
ADOPTED = Origin("", protocol="", listener="adopted", mailbox="relay@example.com")


class AdoptionTests(SpoolCase):
    def files(self) -> Files:
        files = Files(self.path)
        self.addCleanup(files.close, files.root)
        return files

    def taken_out(self, entry: Entry) -> tuple[bytes, str]:
        """The octets and the name of a message, which leaves the spool."""
        path = Path(self.file_of(entry))
        data = path.read_bytes()
        path.unlink()
        return data, path.name

    def taken_in(self, data: bytes, name: str = "", **more: bool) -> Entry:
        found = read_spool_file(data, name, **more)
        assert found is not None
        return adopt(self.spool, self.files(), found, "taken in")

    def test_a_spool_file_is_what_it_was(self) -> None:
        """Id, envelope, origin, outcomes, attempts and octets are kept; it is held."""
        message = self.spool.claim(self.accept())
        self.spool.settle(message, [Verdict(0, Outcome.DELIVERED, SENT)], 5.0)
        self.spool.settle(message, [Verdict(1, Outcome.PENDING, LATER)], 6.0)
        before = message.recipients
        entry = self.spool.defer(message, 400)
        adopted = self.taken_in(*self.taken_out(entry))
        self.assertEqual((adopted.id, adopted.state), (entry.id, State.HOLD))
        self.assertEqual(adopted.attempts, 1)
        message = self.claimed(adopted)
        self.assertEqual((message.envelope, message.origin), (ENVELOPE, ORIGIN))
        self.assertEqual(message.recipients, before)
        self.assertEqual((message.reason, message.read(0, 10**6)), ("taken in", CONTENT))
        self.assertEqual([adopted], list(self.spool.entries()))

    def test_what_is_queued_is_not_taken_in_again(self) -> None:
        """The same id twice would be the same mail twice."""
        entry = self.accept()
        data = Path(self.file_of(entry)).read_bytes()
        refused = self.assertRaises(NotAdopted, self.taken_in, data)
        self.assertIn(entry.queue_id, str(refused))
        self.assertEqual([entry], list(self.spool.entries()))

    def test_a_call_that_was_broken_off_is_given_again(self) -> None:
        """It finds what it held, and goes on from there."""
        data, name = self.taken_out(self.accept())
        first = self.taken_in(data, name)
        self.assertEqual(first, self.taken_in(data, name))
        self.assertEqual([first], list(self.spool.entries()))

    def test_a_mended_message_beside_the_damaged_one(self) -> None:
        """It is found before the damaged one, which stays."""
        entry = self.accept()
        data = Path(self.file_of(entry)).read_bytes()
        damaged = self.spool.set_aside(entry)
        adopted = self.taken_in(data)
        self.assertEqual(adopted, self.spool.find(entry.queue_id))
        self.assertEqual({adopted, damaged}, set(self.spool.entries()))

    def test_damage_is_told(self) -> None:
        """A damaged message is taken as it is only when that is asked for; an envelope never."""
        data, _ = self.taken_out(self.accept())
        worse = data[:-3] + b"X\r\n"
        self.assertRaises(NotAdopted, read_spool_file, worse, "")
        self.assertRaises(NotAdopted, read_spool_file, data[:-3], "")
        adopted = self.taken_in(worse, as_it_is=True)
        self.assertEqual(CONTENT[:-3] + b"X\r\n", self.claimed(adopted).read(0, 10**6))
        broken = data.replace(b'"sender"', b'"sendER"')
        self.assertRaises(NotAdopted, read_spool_file, broken, "")
        # Its message can still be had with an envelope given by hand.
        self.assertEqual(read_message(broken, BY_HAND, ADOPTED).octets, CONTENT)

    def test_nobody_is_left_to_get_it(self) -> None:
        """A message that all have is not taken in: that would send it again, or never end."""
        message = self.spool.claim(self.accept())
        done = [Verdict(place, Outcome.DELIVERED, SENT) for place in range(4)]
        self.spool.settle(message, done, 5.0)
        data, _ = self.taken_out(self.spool.defer(message, 400))
        self.assertRaises(NotAdopted, read_spool_file, data, "")

    def test_a_message_of_any_other_file(self) -> None:
        """Line ends are made those of mail; what no line end is is refused."""
        found = read_message(b"Subject: x\n\nHello\r\n\n", BY_HAND, ADOPTED)
        adopted = adopt(self.spool, self.files(), found, "by hand")
        message = self.claimed(adopted)
        self.assertEqual(message.read(0, 100), b"Subject: x\r\n\r\nHello\r\n\r\n")
        self.assertEqual((message.envelope, message.origin), (BY_HAND, ADOPTED))
        for data in (b"", b"\r\n", b"a\rb", b"a\0b"):
            self.assertRaises(NotAdopted, read_message, data, BY_HAND, ADOPTED)

    @settings(deadline=None, max_examples=100)
    @given(st.binary(max_size=400))
    def test_any_octets(self, data: bytes) -> None:
        """Whatever a file holds, it is a message, no spool's, or refused in words."""
        self.assertIsNone(read_spool_file(data, "name"))
        try:
            found = read_message(data, BY_HAND, ADOPTED)
        except NotAdopted as refused:
            self.assertTrue(str(refused))
        else:
            self.assertNotRegex(found.octets, rb"\r(?!\n)|(?<!\r)\n|\0")


class AdoptionCrashTests(SpoolCase):
    """Killed, or without power, before each system call."""

    def found(self) -> Found:
        spool = opened(MemoryFiles())
        draft = spool.draft(ENVELOPE, ORIGIN)
        draft.write(CONTENT)
        draft.finish()
        (entry,) = spool.commit([draft])
        assert isinstance(entry, Entry)
        message = spool.claim(entry)
        return Found(message.read(0, 1000), ENVELOPE, ORIGIN, entry.id)

    def test_it_is_there_whole_or_not_at_all(self) -> None:
        """And giving the command again ends with it there once."""
        found = self.found()
        calls, is_over = 0, False
        while not is_over:
            files = MemoryFiles()
            opened(files).close()
            disk = files.copy()
            faulty = FaultyFiles(disk, dies_after=calls)
            faulty.begin()
            entry = None
            try:
                entry = adopt(opened_beside(disk), faulty, found, "taken in")
                is_over = True
            except Died:
                calls += 1
            survivors = [*disk.power_losses(), disk]
            disk.kill()
            for survivor in survivors:
                self.check(survivor, found, entry)
        self.assertGreater(calls, 6)

    def check(self, disk: MemoryFiles, found: Found, entry: Entry | None) -> None:
        spool: Spool = opened(disk)
        entries = list(spool.entries())
        if entry is not None:
            self.assertEqual(entries, [entry], "the source may be gone by now")
        again = adopt(spool, disk, found, "taken in")
        self.assertEqual(list(spool.entries()), [again])
        message = spool.claim(again)
        self.assertEqual((message.read(0, 1000), message.reason), (CONTENT, "taken in"))
