"""Mail of local programs on its way from the maildrop into the spool."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.postfix.drop import drop, read_notice
from m365gw.config.limits import Limits
from m365gw.config.local import Local
from m365gw.config.settings import Settings
from m365gw.edge.local.maildrop import Maildrop
from m365gw.edge.local.pickup import LOOK_SECONDS, PATIENCE, Pickup
from m365gw.smtp.dropped import Dropped, render
from m365gw.smtp.headers import header_of
from m365gw.spool.health import SpoolError
from tests.edge.conversation import Gateway, Thread

UID = os.geteuid()
USER = pwd.getpwuid(UID).pw_name
RULE = Local(user=USER, senders=("*@contoso.com", "<>"), mailbox="relay@contoso.com")
DROPPED = Dropped("app@contoso.com", ("a@example.com",))
CONTENT = b"Subject: x\r\n\r\nHello.\r\n"


class PickupTestCase(SynchronousTestCase):
    rule: Local | None = RULE
    limits = Limits(minimal_free_space=0, message_size_limit=5000, header_size_limit=2000)

    def setUp(self) -> None:
        self.gateway = Gateway(self, limits=self.limits)
        self.path = Path(self.mktemp()).absolute()
        self.settings = Settings(
            hostname="gw.example.com",
            local=(self.rule,) if self.rule else (),
            limits=self.limits,
        )
        self.thread = Thread()
        self.pickup = self.open()

    def open(self) -> Pickup:
        """A service's pickup, running; the one before it, if any, has crashed."""
        gateway = self.gateway
        self.maildrop = Maildrop(str(self.path), self.limits.message_size_limit)
        pickup = Pickup(
            maildrop=self.maildrop,
            settings=self.settings,
            spool=gateway.spool,
            intake=gateway.doorway.intake,
            allowances=gateway.doorway.admission.allowances,
            clock=gateway.clock,
            in_thread=self.thread,
            log=gateway.log,
        )
        pickup.start()
        self.addCleanup(self.close, pickup)
        return pickup

    def close(self, pickup: Pickup) -> None:
        if pickup is self.pickup:
            self.gateway.disk.run()
            self.thread.run()
            self.successResultOf(Deferred.fromCoroutine(pickup.stop()))

    def crash(self) -> None:
        """The process ends: what is in memory is gone, what is on disk stays."""
        self.maildrop.close()
        self.gateway.clock.calls.clear()

    def drop(self, dropped: Dropped = DROPPED, content: bytes = CONTENT) -> None:
        drop(str(self.path), render(dropped, content))

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.gateway.clock.advance(LOOK_SECONDS)

    def names(self, folder: str) -> list[str]:
        return os.listdir(self.path / folder)

    @property
    def log(self) -> str:
        self.gateway.log.flush()
        return self.gateway.output.getvalue()

    def refused(self, dropped: Dropped = DROPPED, content: bytes = CONTENT) -> str:
        """What the log says of a message that was refused and kept."""
        before, kept = len(self.log), len(self.names("refused"))
        self.drop(dropped, content)
        self.look(PATIENCE + 1)
        self.assertEqual(self.gateway.messages(), [])
        self.assertEqual((len(self.names("refused")), self.names("taken")), (kept + 1, []))
        said = self.log[before:]
        self.assertEqual(said.count("refused of the maildrop"), 1, said)
        return said


class AcceptTests(PickupTestCase):
    def test_a_message_goes_into_the_spool(self) -> None:
        """Completed, with a trace field, under the rule's mailbox; then its file is gone."""
        self.drop()
        self.look()
        ((envelope, octets),) = self.gateway.messages()
        self.assertEqual(envelope.sender, "app@contoso.com")
        self.assertEqual([one.address for one in envelope.recipients], ["a@example.com"])
        header, _, body = octets.partition(b"\r\n\r\n")
        self.assertTrue(header.startswith(b"Received: by gw.example.com id "), octets)
        for field in (b"\r\nSubject: x", b"\r\nDate: ", b"\r\nMessage-ID: <", b"\r\nFrom: <app@"):
            self.assertIn(field, header)
        self.assertEqual(body, b"Hello.\r\n")
        (entry,) = self.gateway.accepted
        message = self.gateway.spool.claim(entry)
        self.addCleanup(message.close)
        origin = message.origin
        self.assertEqual(
            (origin.client, origin.login, origin.listener, origin.mailbox),
            ("", USER, "maildrop", "relay@contoso.com"),
        )
        self.assertEqual((self.names("taken"), self.names("refused")), ([], []))
        self.assertIn(f"{entry.queue_id}: uid={UID}, from=<app@contoso.com>", self.log)

    def test_a_stop_does_not_wait_for_all(self) -> None:
        """The message in hand is stored; what was taken besides is for the next start."""
        for _ in range(3):
            self.drop()
        self.gateway.disk.is_stalled = True
        self.look()
        stopping = Deferred.fromCoroutine(self.pickup.stop())
        self.assertNoResult(stopping)
        self.gateway.disk.run()
        self.gateway.disk.is_stalled = False
        self.successResultOf(stopping)
        self.assertEqual((len(self.gateway.accepted), len(self.names("taken"))), (1, 2))
        self.pickup = self.open()
        self.assertEqual((len(self.gateway.accepted), self.names("taken")), (3, []))

    def test_who_wrote_it_is_asked_of_the_file_system(self) -> None:
        """The rule is that of the file's owner, whatever the file says."""
        self.drop(evolve(DROPPED, full_name="root"))
        self.look()
        self.assertIn(f"uid={UID}, ", self.log)

    def test_the_null_sender_where_the_rule_lists_it(self) -> None:
        """Vacation notices and reports have none."""
        self.drop(evolve(DROPPED, sender=""))
        self.look()
        ((envelope, octets),) = self.gateway.messages()
        self.assertEqual(envelope.sender, "")
        self.assertIn(b"\r\nFrom: MAILER-DAEMON <relay@contoso.com>\r\n", octets)

    def test_many_wait_and_all_are_taken(self) -> None:
        """In as many looks as it takes."""
        for number in range(3):
            self.drop(evolve(DROPPED, recipients=(f"{number}@example.com",)))
        self.look()
        self.assertEqual(len(self.gateway.messages()), 3)

    def test_the_notice_says_who_may_send(self) -> None:
        """From the start, and anew when the rules change."""
        self.assertEqual(read_notice(str(self.path)).users, (UID,))
        self.assertEqual(read_notice(str(self.path)).message_size_limit, 5000)
        local = (evolve(RULE, user="*"),)
        intake = self.gateway.doorway.intake
        self.pickup.configure(evolve(self.settings, local=local), intake)
        self.assertIsNone(read_notice(str(self.path)).users)


class CompletedTests(PickupTestCase):
    """What the rule adds where a program says little."""

    rule = evolve(RULE, default_from="cron@contoso.com", recipient="admin@contoso.com")

    def test_mail_of_cron(self) -> None:
        """No sender and a recipient without a domain: both are the rule's."""
        self.drop(Dropped(None, ("root", "a@example.com", "root"), full_name="Cron Daemon"))
        self.look()
        ((envelope, octets),) = self.gateway.messages()
        self.assertEqual(envelope.sender, "cron@contoso.com")
        addresses = [one.address for one in envelope.recipients]
        self.assertEqual(addresses, ["admin@contoso.com", "a@example.com"])
        self.assertIn(b"\r\nFrom: Cron Daemon <cron@contoso.com>\r\n", octets)


class RewrittenTests(PickupTestCase):
    """A rule that knows what its programs do not."""

    rule = evolve(RULE, senders=("app@contoso.com",), foreign_sender="rewrite")

    def test_a_foreign_sender_and_from(self) -> None:
        """Both become the mailbox, which then is nobody foreign."""
        self.drop(evolve(DROPPED, sender="root@gw.example.com"))
        self.drop(content=b"From: root (Cron Daemon)\r\n" + CONTENT)
        self.drop(content=b"From: The Boss <boss@contoso.com>\r\n" + CONTENT)
        self.look()
        found = {(envelope.sender, from_of(octets)) for envelope, octets in self.gateway.messages()}
        self.assertEqual(
            found,
            {
                ("relay@contoso.com", "<relay@contoso.com>"),
                ("app@contoso.com", "root <app@contoso.com>"),
                ("app@contoso.com", "The Boss <relay@contoso.com>"),
            },
        )


def from_of(octets: bytes) -> str:
    (value,) = header_of(octets).values("from")
    return value


class RefuseTests(PickupTestCase):
    """Refused once, with words, and kept."""

    def test_a_sender_the_rule_does_not_list(self) -> None:
        """The words name the rule to change."""
        said = self.refused(evolve(DROPPED, sender="ceo@elsewhere.example"))
        self.assertIn(f'adds it to senders of [[local]] user = "{USER}"', said)

    def test_no_sender_and_no_default(self) -> None:
        """It is the user at the hostname, which the rule does not list."""
        self.assertIn(f"<{USER}@gw.example.com>", self.refused(evolve(DROPPED, sender=None)))

    def test_recipients(self) -> None:
        """None, without a domain, too many, and what is no address."""
        for recipients, words in (
            ((), "no recipients"),
            (("root",), '"root" has no domain'),
            (("a@",), "Bad address"),
            (("a@b@c.example",), "Bad address"),
            (tuple(f"{number}@example.com" for number in range(1001)), "more recipients"),
        ):
            self.assertIn(words, self.refused(evolve(DROPPED, recipients=recipients)))

    def test_content_that_no_mail_may_hold(self) -> None:
        """A bare CR, a bare LF, a NUL: also when `sendmail` was not asked."""
        for content in (b"a: b\r\n\r\nx\ry\r\n", b"a: b\r\n\r\nx\ny\r\n", b"a: b\r\n\r\n\0\r\n"):
            self.assertIn("The message holds a ", self.refused(content=content))

    def test_the_end_of_data_in_content_is_content(self) -> None:
        """A dot between line ends ends nothing here, and is stuffed on the way out."""
        content = b"a: b\r\n\r\nx\r\n.\r\nMAIL FROM:<evil@example.com>\r\n"
        self.drop(content=content)
        self.look()
        ((_, octets),) = self.gateway.messages()
        self.assertTrue(octets.endswith(content[6:]), octets)

    def test_too_large(self) -> None:
        """A message, or a header, over the limit."""
        self.assertIn("larger than the 5000", self.refused(content=b"a: b\r\n\r\n" + b"x" * 5000))
        header = b"".join(b"X-%d: y\r\n" % number for number in range(300)) + b"\r\n"
        self.assertIn("larger than the 2000", self.refused(content=header))

    def test_a_loop(self) -> None:
        """Too many Received fields, as by SMTP."""
        self.assertIn("Mail loop", self.refused(content=b"Received: x\r\n" * 60 + b"\r\n"))

    def test_a_file_that_is_no_mail(self) -> None:
        """Said once, kept, and not looked at again."""
        name = f"1763000000.{'0b' * 16}"
        (self.path / name).symlink_to("/etc/passwd")
        self.look(3)
        self.assertEqual(self.names("refused"), [name])
        self.assertEqual(self.log.count("not a regular file"), 1)


class ClosedTests(PickupTestCase):
    """Without a rule nobody may."""

    rule = evolve(RULE, user="nobody-of-that-name")

    def test_a_user_without_a_rule(self) -> None:
        """Nobody of that name, so nobody; and the words say what to add."""
        self.assertEqual(read_notice(str(self.path)).users, ())
        said = self.refused()
        self.assertIn(f'adds [[local]] with user = "{USER}"', said)


class FailureTests(PickupTestCase):
    """What cannot be stored at present, and what a crash leaves."""

    def test_a_full_disk_is_tried_again(self) -> None:
        """The message stays; nothing is refused; a minute later it is stored."""
        self.drop()
        space = self.gateway.spool.free_space
        self.patch(self.gateway.spool, "free_space", lambda: 0)
        self.look(2)
        self.assertEqual((self.gateway.messages(), self.names("refused")), ([], []))
        self.assertIn("not stored yet: 452 4.3.1", self.log)
        self.patch(self.gateway.spool, "free_space", space)
        self.look(PATIENCE)
        self.assertEqual((len(self.gateway.messages()), self.names("taken")), (1, []))

    def test_a_commit_that_fails_is_tried_again(self) -> None:
        """The queue id it was to have is forgotten, and it gets another."""
        broken = SpoolError(OSError(5, "Input/output error"))
        failing: Deferred[list[SpoolError]] = Deferred()
        commit = self.gateway.commit._commit
        self.patch(self.gateway.commit, "_commit", lambda drafts: failing)
        self.drop()
        self.look()
        (noted,) = self.names("taken")
        failing.callback([broken])
        self.assertEqual(self.names("taken"), [noted.rpartition(".")[0]])
        self.patch(self.gateway.commit, "_commit", commit)
        self.look(PATIENCE)
        self.assertEqual((len(self.gateway.messages()), self.names("taken")), (1, []))
        self.assertNotIn("arrives twice", self.log)

    def test_a_crash_before_anything_was_stored(self) -> None:
        """What was taken and not noted is simply taken again."""
        self.drop()
        self.maildrop.take(100, set())
        self.crash()
        self.pickup = self.open()
        self.assertEqual((len(self.gateway.messages()), self.names("taken")), (1, []))
        self.assertNotIn("arrives twice", self.log)

    def test_a_crash_after_it_was_stored(self) -> None:
        """It is found in the spool by the noted queue id: not stored twice, and nothing said."""
        self.drop()
        done = self.maildrop.done
        self.patch(self.maildrop, "done", lambda name, queue_id: None)
        self.look()
        self.assertEqual(len(self.names("taken")), 1)
        self.patch(self.maildrop, "done", done)
        self.crash()
        self.pickup = self.open()
        self.assertEqual((len(self.gateway.messages()), self.names("taken")), (1, []))
        self.assertNotIn("arrives twice", self.log)

    def test_a_crash_when_it_may_have_been_delivered(self) -> None:
        """Noted and not in the spool: taken again, the same Message-ID, and never in silence."""
        self.drop()
        self.maildrop.take(100, set())
        (name,) = self.names("taken")
        self.maildrop.note(name, "4Q7BX2K9M3PDW")
        self.crash()
        self.pickup = self.open()
        ((_, octets),) = self.gateway.messages()
        self.assertIn(f"Message-ID: <{name}@gw.example.com>".encode(), octets)
        self.assertIn("4Q7BX2K9M3PDW when the service ended", self.log)
        self.assertEqual(self.names("taken"), [])

    def test_stored_and_delivered_before_its_file_could_go(self) -> None:
        """While the service runs it remembers what it stored: no second copy."""
        self.drop()
        done = self.maildrop.done

        def failing(name: str, queue_id: str) -> None:
            raise OSError(5, "Input/output error")

        self.patch(self.maildrop, "done", failing)
        self.look()
        self.flushLoggedErrors(OSError)
        (entry,) = self.gateway.accepted
        self.gateway.spool.remove(self.gateway.spool.claim(entry))
        self.patch(self.maildrop, "done", done)
        self.look(PATIENCE)
        self.assertEqual((self.gateway.messages(), self.names("taken")), ([], []))
