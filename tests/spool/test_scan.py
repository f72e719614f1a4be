"""Finding messages by name, beside other Maildir readers."""

from __future__ import annotations

import mailbox
import os

from m365gw.spool.health import Gone
from m365gw.spool.spool import Spool
from tests.spool.cases import CONTENT, SpoolCase


class MaildirTests(SpoolCase):
    """Any Maildir reader opens the folders."""

    def test_mailbox_module_reads_every_folder(self) -> None:
        """Python's reader finds the message in each state, and reads its own header."""
        entry = self.accept()
        for folder in ("incoming", f"deferred/{entry.shard:x}", "hold", "corrupt"):
            [found] = mailbox.Maildir(os.path.join(self.path, folder), create=False)
            self.assertEqual(("test", "Hello\n"), (found["Subject"], found.get_payload()))
            self.assertEqual("X-M365GW-Spool", found.keys()[0])
            if folder == "incoming":
                entry = self.spool.defer(self.claimed(entry), 5)
            elif folder.startswith("deferred"):
                entry = self.spool.hold(self.claimed(entry), "x")
            else:
                entry = self.spool.set_aside(entry)

    def test_message_a_reader_moved_is_found_again(self) -> None:
        """Readers move what they show from new to cur and flag it; the next scan undoes that."""
        entry = self.accept()
        held = self.spool.hold(self.claimed(self.accept()), "x")
        for one, moved in (
            (entry, self.file_of(entry).replace("/new/", "/cur/") + ":2,S"),
            (held, self.file_of(held) + "RS"),
        ):
            os.rename(self.file_of(one), moved)
            self.assertRaises(Gone, self.spool.claim, one)
        self.assertEqual([entry, held], list(self.spool.entries()))
        self.assertEqual(CONTENT, self.claimed(entry).read(0, 1000))
        self.assertEqual("x", self.claimed(held).reason)

    def test_who_may_change_nothing_reads_strays_where_they_are(self) -> None:
        """A listing beside a mail reader shows what that has moved, and leaves it there."""
        entry = self.accept()
        moved = self.file_of(entry).replace("/new/", "/cur/") + ":2,S"
        os.rename(self.file_of(entry), moved)
        looking = Spool.open(self.path, hostname="", read_only=True)
        self.addCleanup(looking.close)
        self.assertEqual([entry], list(looking.entries()))
        message = looking.claim(entry)
        self.assertEqual(CONTENT, message.read(0, 1000))
        message.close()
        self.assertEqual(entry, looking.find(entry.queue_id))
        self.assertTrue(os.path.exists(moved))

    def test_message_a_reader_moved_is_removed_all_the_same(self) -> None:
        """It was delivered while somebody looked at it: it must not come back."""
        entry = self.accept()
        message = self.claimed(entry)
        os.rename(self.file_of(entry), self.file_of(entry).replace("/new/", "/cur/") + ":2,S")
        self.spool.remove(message)
        self.assertEqual([], list(self.spool.entries()))

    def test_link_among_the_messages_is_not_read(self) -> None:
        """A link that took the place of a message since it was seen is not followed."""
        entry = self.accept()
        elsewhere = self.file_of(entry) + ".elsewhere"
        os.rename(self.file_of(entry), elsewhere)
        os.symlink(elsewhere, self.file_of(entry))
        self.assertRaises(Gone, self.spool.claim, entry)
        self.assertEqual([], list(self.spool.entries()))

    def test_foreign_files_are_left_alone(self) -> None:
        """What is not ours is neither listed nor touched: files, folders, links, pipes."""
        new = os.path.join(self.path, "incoming/new")
        entry = self.accept()
        name = os.path.basename(self.file_of(entry))
        os.mkdir(os.path.join(new, name.replace("A=0", "A=1")))
        os.symlink("/etc/passwd", os.path.join(new, name.replace("A=0", "A=2")))
        os.mkfifo(os.path.join(new, name.replace("A=0", "A=3")))
        with open(os.path.join(new, "README"), "w") as file:
            file.write("hello")
        before = sorted(os.listdir(new))
        self.assertEqual([entry], list(self.spool.entries()))
        self.assertEqual(before, sorted(os.listdir(new)))
