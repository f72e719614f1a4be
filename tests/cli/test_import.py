"""`m365gw import`, with the service stopped. The other programs' files are written by a double."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.main import main
from m365gw.directory import passwords
from m365gw.directory.database import Database
from m365gw.directory.entries import Entries, Made
from m365gw.directory.vault import Vault
from tests.moving.other_programs import (
    CONFIG,
    JOE,
    SMTP_PASSWORD,
    account,
    microsoft_smtp_oauth2_proxy,
    postfix,
    simple_m365_relay,
)

RELAY = "relay@contoso.example"


class ImportTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.config = self.folder / "m365gw.toml"
        self.config.write_text('state_dir = "state"\ncontrol_socket = "/nowhere/of.sock"\n')
        self.there = self.folder / "there"

    def relay(self, **changes: Any) -> None:
        simple_m365_relay(self.there, **changes)

    def given(self, source: str, *words: str) -> Result:
        line = ["-c", str(self.config), "import", source, str(self.there), *words]
        return CliRunner().invoke(main, line)

    def imported(self, *words: str, source: str = "simple-m365-relay") -> dict[str, Any]:
        done = self.given(source, *words, "--json")
        self.assertEqual((done.exit_code, done.stderr), (0, ""), done.output)
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    def made(self) -> Made:
        """What the directory holds now."""
        database = Database.open("", str(self.folder / "state"))
        try:
            return Entries(database, Vault(database, str(self.folder / "state"))).read()
        finally:
            database.close()

    def test_old_passwords_stay_good(self) -> None:
        """They are hashed, and nothing shows them."""
        microsoft_smtp_oauth2_proxy(self.there)
        said = self.imported(source="microsoft-smtp-oauth2-proxy")
        (client,) = self.made().clients
        self.assertEqual(client.login, JOE)
        self.assertTrue(passwords.verify(client.password[0].hash, SMTP_PASSWORD))
        self.assertEqual({each["done"] for each in said["entries"]}, {"made"})
        for file in (self.folder / "state").iterdir():
            if file.is_file():
                self.assertNotIn(SMTP_PASSWORD.encode(), file.read_bytes())
                self.assertNotIn(b"refresh-token-of", file.read_bytes())

    def test_text_of_others_on_a_terminal(self) -> None:
        """What stands in their files moves no cursor, also in the commands to give."""
        self.there = postfix(self.there)
        with (self.there / "main.cf").open("a") as file:
            file.write("message_size_limit = 1\x1b[2J\nodd\x1b[2J = 1\n")
        said = self.given("postfix", "--dry-run", "--skip-broken").stdout
        self.assertIn("limits.message_size_limit", said)
        self.assertNotIn("\x1b", said)

    def test_dry_run(self) -> None:
        """The same is said, and nothing is there afterwards, not even a database."""
        self.relay()
        said = self.imported("--dry-run")
        self.assertEqual({each["done"] for each in said["entries"]}, {"new"})
        self.assertFalse((self.folder / "state").exists())
        self.imported()
        again = self.imported("--dry-run")["entries"]
        done = {each["done"] for each in again if each["table"] != "sign-in"}
        self.assertEqual(done, {"there"})

    def test_cloud_that_is_not_there(self) -> None:
        """It is said which there are."""
        self.relay()
        done = self.given("simple-m365-relay", "--cloud", "nowhere")
        self.assertEqual(done.exit_code, 2)
        self.assertIn("There is no cloud nowhere. Known: worldwide", done.stderr)

    def test_dry_run_foresees_what_would_be_refused(self) -> None:
        """The registry would say no: this says why, as it would."""
        self.relay(config={**CONFIG, "oauth": {"tenant_id": "no tenant", "client_id": "x"}})
        done = self.given("simple-m365-relay", "--dry-run")
        self.assertEqual(done.exit_code, 1)
        self.assertIn(
            '"no tenant" is neither a tenant id nor a domain: would be refused', done.output
        )
        done = self.given("simple-m365-relay")
        self.assertEqual(done.exit_code, 1)
        self.assertIn('"no tenant" is neither a tenant id nor a domain', done.stderr)
        self.assertEqual(self.made().clients, ())

    def test_again(self) -> None:
        """What was made is left as it is, and it is said that nothing changed."""
        self.relay()
        self.imported()
        before = self.made()
        done = self.given("simple-m365-relay")
        self.assertIn("is there already, and stays as it is", done.output)
        self.assertIn("Nothing was changed.", done.output)
        self.assertEqual(self.made().makers, before.makers)

    def test_broken(self) -> None:
        """Nothing is made until the rest is asked for; what is broken is said both times."""
        rows = account(), account("no address")
        microsoft_smtp_oauth2_proxy(self.there, *rows)
        done = self.given("microsoft-smtp-oauth2-proxy")
        self.assertEqual(done.exit_code, 1)
        self.assertIn("row 2: its email is no mail address", done.stdout)
        self.assertIn("Nothing was made", done.stderr)
        self.assertEqual(self.made().clients, ())
        done = self.given("microsoft-smtp-oauth2-proxy", "--skip-broken")
        self.assertEqual(done.exit_code, 1)
        self.assertEqual([each.login for each in self.made().clients], [JOE])

    def test_new_passwords(self) -> None:
        """In a file only its owner can read, for those that need one and were made."""
        self.relay(users="printer:{SSHA}x\n")
        said = self.imported()
        self.assertIn("SSHA", str(said["left_out"]))
        self.assertEqual(self.made().clients, ())
        file = self.folder / "new"
        said = self.imported("--new-passwords", str(file))
        self.assertEqual(said["new_passwords"], ["printer"])
        self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600)
        login, password = file.read_text().split()
        (client,) = self.made().clients
        self.assertEqual(login, "printer")
        self.assertTrue(passwords.verify(client.password[0].hash, password))
        self.assertNotIn(password, str(said))

    def test_file_for_new_passwords(self) -> None:
        """One that is there is not written over; without a new password there is none."""
        self.relay()
        file = self.folder / "new"
        self.imported("--new-passwords", str(file))
        self.assertFalse(file.exists())
        file.write_text("precious")
        done = self.given("simple-m365-relay", "--new-passwords", str(file))
        self.assertEqual(done.exit_code, 73)
        self.assertEqual(file.read_text(), "precious")

    def test_report(self) -> None:
        """A line for each entry, what was not taken and why, and what remains to be done."""
        self.relay()
        done = self.given("simple-m365-relay")
        for words in (
            f"mailbox   {RELAY}: made\n",
            "login     printer: made\n",
            "network   10.1.0.0/16: made\n",
            f"sign-in   {RELAY}: taken over; Microsoft is asked",
            "What was made holds, from the next start of the service on.",
            "  m365gw listener add submission tcp:587 --tls require\n",
        ):
            self.assertIn(words, done.stdout)

    def test_nothing_there(self) -> None:
        """A wrong path is one line."""
        done = self.given("simple-m365-relay")
        self.assertEqual(done.exit_code, 1)
        self.assertIn("there is no such folder or file", done.stdout)
