"""`m365gw mailbox` and `m365gw network` while no service runs."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from m365gw.admin import answers
from m365gw.cli.main import Invocation, main
from m365gw.cli.stopped import Stopped
from m365gw.directory.certificates import new_certificate
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.reactions import Scope, stop
from m365gw.microsoft.replies import Phase
from m365gw.relay.stops import kept
from m365gw.relay.stops.mailboxes import Mailboxes
from m365gw.relay.stops.stops import Account, State
from m365gw.spool.names import State as MessageState
from tests.config.test_load import GOOD
from tests.spool.mail import new_spool, put

SECRET = "correct.horse~battery"
APP = ("--tenant", "contoso.com", "--client-id", "00000000-0000-4000-8000-0000000000a1")
BY_SECRET = ("mailbox", "add", "erp@contoso.com", "--flow", "secret", *APP)


class CommandTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.config = self.folder / "m365gw.toml"
        self.config.write_text('state_dir = "state"\n' + GOOD)

    def run_command(self, *words: str, typed: str | None = None) -> tuple[int, str, str]:
        done = CliRunner().invoke(main, ["--config", str(self.config), *words], input=typed)
        self.assertTrue(done.exception is None or isinstance(done.exception, SystemExit), done)
        return done.exit_code, done.stdout, done.stderr


class MailboxTests(CommandTestCase):
    def test_secret_from_a_file(self) -> None:
        """It is sealed: neither a listing nor the directory shows it."""
        (self.folder / "secret").write_text(SECRET + "\n")
        words = ("--secret-file", str(self.folder / "secret"))
        status, said, _ = self.run_command(*BY_SECRET, *words)
        self.assertEqual(status, 0)
        self.assertIn("erp@contoso.com was made", said)
        status, said, _ = self.run_command("mailbox", "show", "ERP@contoso.com", "--json")
        row = json.loads(said)
        self.assertEqual((row["flow"], row["origin"]), ("secret", "directory"))
        self.assertNotIn(SECRET, said)
        for file in (self.folder / "state").glob("state.db*"):
            self.assertNotIn(SECRET.encode(), file.read_bytes())

    def test_secret_that_is_asked_for(self) -> None:
        """It is not echoed; where nobody answers, the options are named."""
        status, said, error = self.run_command(*BY_SECRET, typed=f"{SECRET}\n")
        self.assertEqual(status, 0)
        self.assertNotIn(SECRET, said + error)
        status, _, error = self.run_command("mailbox", "add", "hr@contoso.com", typed="")
        self.assertEqual(status, 2)
        self.assertIn("--flow", error)

    def test_secret_as_an_argument(self) -> None:
        """There is no such option: arguments are seen by everybody."""
        self.assertEqual(self.run_command(*BY_SECRET, "--client-secret", SECRET)[0], 2)

    def test_configured_ones_are_locked(self) -> None:
        """They are listed, with their place when somebody wants to change them."""
        status, said, error = self.run_command("mailbox", "list")
        self.assertEqual(status, 0)
        self.assertRegex(said, r"(?m)^relay@contoso\.com .* m365gw\.toml:8$")
        self.assertIn("does not run", error)
        status, _, error = self.run_command("mailbox", "remove", "relay@contoso.com", "--yes")
        self.assertEqual(status, 1)
        self.assertRegex(error, rf"locked.* at {self.config}:\d+")

    def test_remove_while_it_is_used(self) -> None:
        """Whose mail leaves by it is said, with what to do; then it goes."""
        self.run_command(*BY_SECRET, typed=f"{SECRET}\n")
        words = ("--sender", "*@contoso.com", "--mailbox", "erp@contoso.com")
        self.assertEqual(self.run_command("client", "add", "erp", *words)[0], 0)
        status, _, error = self.run_command("mailbox", "remove", "erp@contoso.com", "--yes")
        self.assertEqual(status, 1)
        self.assertIn("m365gw client change erp --mailbox ANOTHER", error)
        self.run_command("client", "change", "erp", "--mailbox", "relay@contoso.com")
        self.assertEqual(self.run_command("mailbox", "remove", "erp@contoso.com", "--yes")[0], 0)

    def test_certificate_that_is_made(self) -> None:
        """Only its public part leaves the vault; a new one stands beside the old one."""
        add = ("mailbox", "add", "fax@contoso.com", "--flow", "certificate", *APP)
        status, said, _ = self.run_command(*add, "--generate", "--days", "30", "--json")
        self.assertEqual(status, 0)
        first = json.loads(said)["certificate"]
        self.assertTrue(first.startswith("-----BEGIN CERTIFICATE-----"))
        self.assertNotIn("PRIVATE", said)
        file = self.folder / "new.cer"
        renew = ("mailbox", "renew", "fax@contoso.com", "--cer", str(file))
        status, said, _ = self.run_command(*renew)
        self.assertEqual(status, 0)
        self.assertIn("entra.microsoft.com", said)
        self.assertTrue(file.read_text().startswith("-----BEGIN CERTIFICATE-----"))
        self.assertNotEqual(file.read_text(), first)
        self.assertEqual(self.run_command(*renew)[0], 73)
        settings = Stopped(Invocation(str(self.config))).settings
        kept = settings.mailbox[-1].certificate
        self.assertEqual((kept.count("PRIVATE KEY-----"), first in kept), (4, True))

    def test_connector(self) -> None:
        """It needs no app; a certificate for it is given, and never made here."""
        words = (
            "mailbox",
            "add",
            "by@contoso.com",
            "--exit",
            "connector",
            "--tenant",
            "contoso.com",
        )
        status, said, _ = self.run_command(*words, "--flow", "address")
        self.assertEqual((status, "by@contoso.com was made" in said), (0, True))
        said = self.run_command("mailbox", "show", "by@contoso.com")[1]
        self.assertIn("Known by       address, tenant contoso.com", said)
        status, _, error = self.run_command(*words, "--flow", "certificate", "--generate")
        self.assertEqual(status, 64)
        self.assertIn("public authorities only", error)
        file = self.folder / "connector.pem"
        file.write_bytes(new_certificate("relay.contoso.com"))
        words = ("mailbox", "change", "by@contoso.com", "--flow", "certificate")
        self.assertEqual(self.run_command(*words, "--certificate", str(file))[0], 0)
        status, _, error = self.run_command("mailbox", "renew", "by@contoso.com")
        self.assertEqual((status, "public authorities only" in error), (1, True))

    def test_pause_where_no_service_ever_ran(self) -> None:
        """There is no spool to say it in, and none is made."""
        for command in (("pause", "--why", "x"), ("resume",), ("retry",)):
            self.assertEqual(self.run_command("mailbox", *command, "relay@contoso.com")[0], 66)
        self.assertFalse((self.folder / "spool").exists())


class StatesAtRestTests(CommandTestCase):
    """Mailboxes paused, resumed and retried while no service runs."""

    def setUp(self) -> None:
        super().setUp()
        spool = self.folder / "spool"
        self.config.write_text(f'spool_dir = "{spool}"\n' + self.config.read_text())
        self.spool = new_spool(str(spool))
        self.addCleanup(self.spool.close)
        self.log = EventLog(io.StringIO(), hostname="relay.test")

    def kept(self) -> Mailboxes:
        """What stops mailboxes as the next service finds it."""
        accounts = [Account("relay@contoso.com", "contoso.com", "smtp.office365.com:587")]
        mailboxes = Mailboxes(accounts, self.log, Incidents(self.log, time.time))
        kept.restore(self.spool, mailboxes, time.time())
        return mailboxes

    def ordered(self, *words: str) -> dict[str, Any]:
        status, said, error = self.run_command("mailbox", *words, "--json")
        self.assertEqual((status, "from its next start on" in error), (0, True), error)
        answer: dict[str, Any] = json.loads(said)
        return answer

    def test_pause_and_resume(self) -> None:
        """The next start finds the pause, with its reason, and then that it is over."""
        self.spool.close()
        row = self.ordered("pause", "RELAY@contoso.com", "--why", "migration, ask Ann")
        self.assertEqual((row["state"], row["until"], row["waits"]), ("paused", None, 0))
        self.assertEqual(set(row), set(answers.MailboxState.__annotations__))
        self.spool = new_spool(str(self.folder / "spool"))
        standing = self.kept().standing("relay@contoso.com")
        self.assertEqual(standing.state, State.PAUSED)
        self.assertIn("migration, ask Ann", str(standing.diagnosis))
        self.spool.close()
        status, said, _ = self.run_command("mailbox", "list")
        self.assertIn("relay@contoso.com is paused: migration, ask Ann.", said)
        self.assertIn(
            "State          paused", self.run_command("mailbox", "show", "relay@contoso.com")[1]
        )
        self.assertEqual(self.ordered("resume", "relay@contoso.com")["state"], "ready")
        self.assertNotIn("paused", self.run_command("mailbox", "list")[1])

    def test_retry(self) -> None:
        """What would wait for an hour more, and its mail with it, is tried by the next start."""
        now = time.time()
        mailboxes = self.kept()
        quota = stop(Scope.MAILBOX, 3600, Diagnosis("quota", "Full.", "Why.", "Wait.", "nobody"))
        mailboxes.answered("relay@contoso.com", "", Phase.MAIL, quota, now)
        kept.write(self.spool, kept.octets(mailboxes, now))
        self.assertGreater(self.kept().may_send("relay@contoso.com", now), now + 3000)
        later = put(self.spool)
        self.spool.defer(self.spool.claim(later), int(now + 3600))
        self.spool.close()
        row = self.ordered("retry", "relay@contoso.com")
        self.assertEqual((row["state"], row["waits"]), ("throttled", 1))
        self.spool = new_spool(str(self.folder / "spool"))
        self.assertLessEqual(self.kept().may_send("relay@contoso.com", time.time()), time.time())
        (entry,) = self.spool.entries(MessageState.DEFERRED)
        self.assertLessEqual(entry.due, time.time())

    def test_what_cannot_be(self) -> None:
        """An unknown mailbox, a reason that says nothing, and a spool that is in use."""
        words = ("mailbox", "retry", "relay@contoso.com")
        status, _, error = self.run_command(*words)
        self.assertEqual(status, 75)
        self.assertIn("in use by another process", error)
        self.spool.close()
        status, _, error = self.run_command("mailbox", "resume", "nobody@contoso.com")
        self.assertEqual(status, 1)
        self.assertIn("Known: relay@contoso.com", error)
        self.assertEqual(
            self.run_command("mailbox", "pause", "relay@contoso.com", "--why", " ")[0], 2
        )


class NetworkTests(CommandTestCase):
    def test_made_listed_changed_removed(self) -> None:
        """A network of the directory, from its making to its end."""
        words = ("--sender", "*@contoso.com", "--mailbox", "relay@contoso.com")
        status, said, _ = self.run_command("network", "add", "10.1.0.0/16", *words)
        self.assertEqual(status, 0)
        self.assertIn("no listener trusts it, so it may not send yet", said)
        self.assertIn("Let one do so: add it to networks of a [[listener]] of the file.", said)
        status, said, error = self.run_command("network", "add", "10.1.2.3/16", *words)
        self.assertEqual(status, 1)
        self.assertIn("Did you mean 10.1.0.0/16?", error)
        change = ("network", "change", "10.1.0.0/16", "--foreign-from", "rewrite")
        self.assertEqual(self.run_command(*change)[0], 0)
        row = json.loads(self.run_command("network", "list", "--json")[1])
        self.assertEqual((row["cidr"], row["foreign_from"]), ("10.1.0.0/16", "rewrite"))
        self.assertEqual(self.run_command("network", "remove", "10.1.0.0/16", "--yes")[0], 0)
        self.assertEqual(self.run_command("network", "list")[1], "No networks.\n")

    def test_says_how_a_listener_comes_to_trust_it(self) -> None:
        """The command for a listener of the directory names the networks it trusts already too."""
        trusted = ("--auth", "offer", "--network", "10.9.0.0/16")
        self.assertEqual(self.run_command("listener", "add", "old", "tcp:2525", *trusted)[0], 0)
        words = ("--sender", "*@contoso.com", "--mailbox", "relay@contoso.com")
        said = self.run_command("network", "add", "10.1.0.0/16", *words)[1]
        wanted = "m365gw listener change old --network 10.9.0.0/16 --network 10.1.0.0/16, or add it"
        self.assertIn(wanted, said)

    def test_removed_is_what_listeners_still_name(self) -> None:
        """That they name it lets nobody in; how it is taken out there too is said."""
        words = ("--sender", "*@contoso.com", "--mailbox", "relay@contoso.com")
        trusted = ("--auth", "offer", "--network", "10.9.0.0/16", "--network", "10.1.0.0/16")
        self.run_command("listener", "add", "old", "tcp:2525", *trusted)
        self.run_command("network", "add", "10.9.0.0/16", *words)
        self.run_command("network", "add", "10.9.1.0/24", *words)
        said = self.run_command("network", "remove", "10.9.1.0/24", "--yes")[1]
        self.assertIn("is removed. Its machines may send still, as 10.9.0.0/16 does.", said)
        said = self.run_command("network", "remove", "10.9.0.0/16", "--yes")[1]
        self.assertIn("10.9.0.0/16 may send no more", said)
        self.assertIn("m365gw listener change old --network 10.1.0.0/16", said)

    def test_explained(self) -> None:
        """A rule that was made counts, and explain says where it was made and how to change it."""
        self.config.write_text(
            self.config.read_text().replace('"tcp:587"', '"tcp:587"\nnetworks = ["10.0.0.0/8"]')
        )
        words = ("--sender", "*@contoso.com", "--mailbox", "relay@contoso.com")
        said = self.run_command("network", "add", "10.1.0.0/16", *words)[1]
        self.assertIn("10.1.0.0/16 may send at ", said)
        asked = ("explain", "--from", "a@contoso.com", "--to", "b@example.com", "--ip", "10.1.2.3")
        status, said, _ = self.run_command(*asked)
        self.assertEqual(status, 0)
        self.assertIn("To change it: m365gw network change 10.1.0.0/16", said)
        self.assertIn("m365gw network change 10.1.0.0/16", said)
