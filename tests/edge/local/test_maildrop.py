"""The maildrop: what any local user may put there, and what becomes of it."""

from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.postfix import drop as writer
from m365gw.cli.postfix.call import Fatal
from m365gw.edge.local import maildrop as reader
from m365gw.edge.local.maildrop import Maildrop, NotMail, withdraw
from m365gw.edge.local.maildrop_folders import MaildropUnusable
from m365gw.smtp.dropped import Dropped, render

NAME = f"{1_763_000_000}.{'0a' * 16}"
DROPPED = Dropped("app@contoso.com", ("a@example.com",))
MESSAGE = render(DROPPED, b"Subject: x\r\n\r\nHello.\r\n")


class MaildropTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()
        self.maildrop = Maildrop(str(self.path), 1000)
        self.addCleanup(self.maildrop.close)

    def put(self, octets: bytes = MESSAGE, name: str = NAME, mode: int = 0o640) -> Path:
        path = self.path / name
        path.write_bytes(octets)
        path.chmod(mode)
        return path

    def take(self) -> list[str]:
        return self.maildrop.take(100, set())[0]

    def refused(self) -> str:
        """What is said of the one file that lies there."""
        self.assertEqual(self.take(), [NAME])
        with self.assertRaises(NotMail) as caught:
            self.maildrop.open(NAME)
        self.maildrop.refuse(NAME)
        self.assertEqual(os.listdir(self.path / "refused"), [NAME])
        self.assertEqual(self.maildrop.leftovers(), [])
        return str(caught.exception)


class BorderTests(MaildropTestCase):
    """Files that others than `sendmail` may leave there."""

    def test_a_symbolic_link_is_not_followed(self) -> None:
        """It might lead to a message of somebody else's."""
        target = self.put(name="elsewhere")
        (self.path / NAME).symlink_to(target)
        self.assertIn("not a regular file", self.refused())

    def test_a_hard_link_is_no_mail(self) -> None:
        """Its owner is who wrote the file, not who put it here."""
        os.link(self.put(name="elsewhere"), self.path / NAME)
        self.assertIn("more than one name", self.refused())

    def test_a_pipe_does_not_block(self) -> None:
        """Opening one would wait for a writer for ever."""
        os.mkfifo(self.path / NAME, 0o640)
        self.assertIn("not a regular file", self.refused())

    def test_a_folder_is_no_mail(self) -> None:
        """Nor is what is in it."""
        (self.path / NAME).mkdir()
        self.assertIn("not a regular file", self.refused())

    def test_a_socket_is_no_mail(self) -> None:
        """It cannot be read."""
        place = os.open(self.path, os.O_RDONLY)
        self.addCleanup(os.close, place)
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(f"/proc/self/fd/{place}/{NAME}")
        self.assertIn("not a regular file", self.refused())

    def test_a_file_that_others_may_write_is_no_mail(self) -> None:
        """Somebody else may have written it and moved it here, in its owner's name."""
        for mode in (0o666, 0o660, 0o642, 0o644, 0o600, 0o4640):
            self.put(mode=mode)
            self.assertIn("others than its owner", self.refused())

    def test_a_giant_file_is_not_read(self) -> None:
        """It is refused for its size alone; a hole in a file costs its writer nothing."""
        path = self.put()
        os.truncate(path, 1 << 40)
        self.assertIn("larger than any message", self.refused())

    def test_a_file_that_is_no_message(self) -> None:
        """Rubbish, a wrong length, and a file that was cut off."""
        for octets in (b"", b"rubbish\n" * 20, MESSAGE + b"x", MESSAGE[:-1], MESSAGE[:20]):
            self.put(octets)
            self.refused()

    def test_a_file_that_shrinks_while_it_is_read(self) -> None:
        """Its owner may still have it open; it ends as no mail, not as half a message."""
        path = self.put()
        fd = os.open(path, os.O_RDWR)
        self.addCleanup(os.close, fd)
        self.take()
        mail = self.maildrop.open(NAME)
        self.addCleanup(mail.close)
        os.ftruncate(fd, 60)
        with self.assertRaisesRegex(NotMail, "changed"):
            mail.read(0, 1000)

    def test_names_that_are_not_ours_are_left_alone(self) -> None:
        """A path, a flag or a long name never gets into a call."""
        for name in ("foo", "-rf", "1763000000.xyz", NAME + "0", f"x{NAME}"):
            self.put(name=name)
        self.assertEqual(self.take(), [])

    def test_what_is_still_being_written_is_left(self) -> None:
        """A hidden name is no message yet; after a day it never will be one."""
        path = self.put(MESSAGE[:10], name=f".{NAME}")
        self.maildrop.sweep(path.stat().st_mtime + 86000)
        self.assertEqual((self.take(), path.exists()), ([], True))
        self.maildrop.sweep(path.stat().st_mtime + 87000)
        self.assertFalse(path.exists())

    def test_no_more_is_taken_than_was_asked_for(self) -> None:
        """Whatever one user piles up; what cannot be moved is not tried again and again."""
        names = {f"1763000000.{number:032x}" for number in range(5)}
        for name in names:
            self.put(name=name)
        left = {min(names)}
        first, failed = self.maildrop.take(3, left)
        second, _ = self.maildrop.take(3, left)
        self.assertEqual((len(first), len(second), failed), (3, 1, {}))
        self.assertEqual({*first, *second} | left, names)

    def test_once_taken_it_is_out_of_its_owners_reach(self) -> None:
        """The name its owner knows is gone, and the folder it is in is closed."""
        path = self.put()
        self.take()
        self.assertFalse(path.exists())
        self.assertEqual(stat.S_IMODE((self.path / "taken").stat().st_mode), 0o700)


class FolderTests(SynchronousTestCase):
    """The folder itself."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()

    def test_it_is_made_so_that_users_cannot_look_in(self) -> None:
        """Write and enter for all, read for the service; what is put there gets its group."""
        Maildrop(str(self.path), 1000).close()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o3733)

    def test_one_that_is_open_to_all_is_not_used(self) -> None:
        """Without the sticky bit users could remove each other's mail."""
        self.path.mkdir()
        for mode in (0o777, 0o733, 0o1733, 0o3777):
            self.path.chmod(mode)
            with self.assertRaisesRegex(MaildropUnusable, "chmod 3733"):
                Maildrop(str(self.path), 1000)

    def test_a_link_in_its_place_is_not_followed(self) -> None:
        """It is no folder of ours."""
        elsewhere = Path(self.mktemp()).absolute()
        elsewhere.mkdir(mode=0o700)
        self.path.symlink_to(elsewhere)
        with self.assertRaises(MaildropUnusable):
            Maildrop(str(self.path), 1000)

    def test_two_services_do_not_share_one(self) -> None:
        """They would take each other's mail for leftovers."""
        first = Maildrop(str(self.path), 1000)
        self.addCleanup(first.close)
        with self.assertRaisesRegex(MaildropUnusable, "in use"):
            Maildrop(str(self.path), 1000)

    def test_a_file_in_the_place_of_our_folder(self) -> None:
        """Whoever put it there does not get the mail."""
        Maildrop(str(self.path), 1000).close()
        (self.path / "taken").rmdir()
        (self.path / "taken").symlink_to("/tmp")
        with self.assertRaises(MaildropUnusable):
            Maildrop(str(self.path), 1000)


class WriterTests(MaildropTestCase):
    """`sendmail`'s side of the maildrop against the service's."""

    def test_what_is_dropped_is_mail(self) -> None:
        """The reader takes what the writer wrote, for mail of the user that wrote it."""
        writer.drop(str(self.path), MESSAGE)
        (name,) = self.take()
        mail = self.maildrop.open(name)
        self.addCleanup(mail.close)
        self.assertEqual((mail.uid, mail.envelope), (os.geteuid(), DROPPED))
        self.assertEqual(mail.read(0, 1000), b"Subject: x\r\n\r\nHello.\r\n")
        self.assertEqual(mail.read(9, 1), b"x")

    def test_nothing_is_left_of_one_that_cannot_be_written(self) -> None:
        """A full disk is told by 75, and the caller keeps the message."""

        def no_space(fd: int) -> None:
            raise OSError(28, "No space left on device")

        self.patch(os, "fsync", no_space)
        with self.assertRaises(Fatal) as caught:
            writer.drop(str(self.path), MESSAGE)
        self.assertEqual(caught.exception.code, 75)
        self.assertIn("No space left", str(caught.exception))
        self.assertEqual(sorted(os.listdir(self.path)), ["refused", "taken"])

    def test_the_notice_is_read_by_all(self) -> None:
        """Who may send, and how large mail may be."""
        self.maildrop.post([33, 1000], 5000)
        notice = writer.read_notice(str(self.path))
        self.assertEqual(notice, writer.Notice((33, 1000), 5000))
        notice.check(33)
        with self.assertRaises(Fatal) as caught:
            notice.check(4242)
        self.assertEqual(
            (caught.exception.code, str(caught.exception)),
            (77, "User 4242(4242) is not allowed to submit mail"),
        )
        self.maildrop.post(None, 5000)
        writer.read_notice(str(self.path)).check(4242)

    def test_a_service_without_rules(self) -> None:
        """It takes back the notice it gave, and says how much mail is left."""
        self.assertEqual(withdraw(self.mktemp(), 1000), 0)
        path = Path(self.mktemp())
        maildrop = Maildrop(str(path), 5000)
        maildrop.post(None, 5000)
        self.assertEqual(withdraw(str(path), 1000), 0)  # in use by another service
        self.assertIsNone(writer.read_notice(str(path)).users)
        maildrop.close()
        (path / NAME).write_bytes(MESSAGE)
        self.assertEqual(withdraw(str(path), 1000), 1)
        self.assertEqual(writer.read_notice(str(path)), writer.Notice((), 1000))
        self.assertTrue((path / NAME).exists())

    def test_a_notice_that_is_none(self) -> None:
        """Without one, or with rubbish or a pipe in its place, the service decides later."""
        place = self.path / writer.NOTICE
        self.assertEqual(writer.read_notice(str(self.path)), writer.Notice())
        place.write_text(json.dumps({"users": "x"}))
        self.assertEqual(writer.read_notice(str(self.path)), writer.Notice())
        place.unlink()
        os.mkfifo(place)
        self.assertEqual(writer.read_notice(str(self.path)), writer.Notice())

    def test_both_sides_speak_of_the_same(self) -> None:
        """The command may not import from the service's room, so both know these."""
        self.assertEqual((writer.NOTICE, writer.FILE_MODE), (reader.NOTICE, reader.FILE_MODE))


class LeftoverTests(MaildropTestCase):
    """What a crash leaves in the hands of the service."""

    def test_taken_and_noted(self) -> None:
        """A file that was taken, and then one whose queue id was noted; done, it is gone."""
        self.put()
        self.take()
        self.assertEqual(self.maildrop.leftovers(), [(NAME, "")])
        self.maildrop.note(NAME, "4Q7BX2K9M3PDW")
        self.assertEqual(self.maildrop.leftovers(), [(NAME, "4Q7BX2K9M3PDW")])
        self.maildrop.forget_note(NAME, "4Q7BX2K9M3PDW")
        self.assertEqual(self.maildrop.leftovers(), [(NAME, "")])
        self.maildrop.note(NAME, "4Q7BX2K9M3PDX")
        self.maildrop.done(NAME, "4Q7BX2K9M3PDX")
        self.assertEqual(self.maildrop.leftovers(), [])
