"""`m365gw client`: logins that can be pasted into the configuration."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.main import main
from m365gw.config.sources import Tree
from m365gw.config.structure import settings_from
from m365gw.directory import passwords
from m365gw.directory.database import Database
from m365gw.directory.last_use import Use, fingerprint, write_uses


class AddTests(SynchronousTestCase):
    def add(self, *words: str, typed: str = "") -> tuple[str, str]:
        done = CliRunner().invoke(main, ["client", "add", "--print", "erp", *words], input=typed)
        self.assertEqual((done.exit_code, done.exception), (0, None))
        return done.stdout, done.stderr

    def test_what_is_printed_is_configuration(self) -> None:
        """The table is taken as it is, and the password shown belongs to its hash."""
        table, said = self.add("--sender", "*@contoso.com", "--mailbox", "relay@contoso.com")
        settings, problems = settings_from(Tree(tomllib.loads(table)))
        assert settings is not None, problems
        (client,) = settings.client
        self.assertEqual((client.login, client.senders), ("erp", ("*@contoso.com",)))
        password = said.split()[-1]
        self.assertTrue(passwords.verify(client.password_hash, password))
        self.assertNotIn(password, table)

    def test_a_chosen_password_is_not_echoed(self) -> None:
        """A chosen password is asked for twice and never shown."""
        table, said = self.add("--choose", typed="tr0ub4dor\ntr0ub4dor\n")
        self.assertIn("$argon2id$", table)
        self.assertNotIn("tr0ub4dor", table + said)

    def test_names_that_would_break_the_table(self) -> None:
        """A login or sender with quotes is written as TOML wants it."""
        done = CliRunner().invoke(
            main, ["client", "add", "--print", 'a"b\\c', "--sender", '"x y"@contoso.com']
        )
        (client,) = tomllib.loads(done.stdout)["client"]
        self.assertEqual((client["login"], client["senders"]), ('a"b\\c', ['"x y"@contoso.com']))

    def test_login_that_check_would_refuse(self) -> None:
        """No table is printed that the configuration would not take."""
        done = CliRunner().invoke(main, ["client", "add", "--print", "printer 3"])
        self.assertEqual(done.exit_code, 2)
        self.assertIn("is not a login name", done.stderr)
        self.assertEqual(done.stdout, "")

    def test_networks_and_realms(self) -> None:
        """What is asked for is in the table; what is not is left out."""
        table, _ = self.add("--network", "10.1.0.0/16", "--realm", "*")
        [client] = tomllib.loads(table)["client"]
        self.assertEqual((client["networks"], client["realms"]), (["10.1.0.0/16"], ["*"]))
        table, _ = self.add()
        self.assertNotIn("networks", table)


class ConfiguredTestCase(SynchronousTestCase):
    """A configuration with one login, whose first password was used."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.config = self.folder / "m365gw.toml"
        _, self.made = passwords.generate()
        self.chosen = passwords.hash_chosen("tr0ub4dor")
        self.config.write_text(f"""\
state_dir = "state"

[[listener]]
name = "submission"
endpoint = "tcp:587"

[[mailbox]]
address = "relay@contoso.com"
flow = "device"
tenant = "contoso.com"
client_id = "x"

[[client]]
login = "printer3"
password_hash = "{self.made}"
senders = ["scan@contoso.com"]
mailbox = "relay@contoso.com"

[[client.password]]
hash = "{self.chosen}"
label = "old"
created = 2020-01-01
expires = 2020-12-31
""")
        database = Database("", str(self.folder / "state"))
        use = Use("printer3", fingerprint(self.made), 1_800_000_000.0, "10.1.0.7")
        write_uses(database, [use])

    def run_client(self, *words: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(main, ["--config", str(self.config), "client", *words])
        return done.exit_code, done.stdout, done.stderr


class ListTests(ConfiguredTestCase):
    def test_json(self) -> None:
        """Everything about a login but its hashes."""
        status, said, _ = self.run_client("list", "--json")
        row = json.loads(said)
        made, chosen = row["passwords"]
        self.assertEqual(
            (status, row["login"], row["mailbox"]), (0, "printer3", "relay@contoso.com")
        )
        at = datetime.fromtimestamp(1_800_000_000, UTC).isoformat()
        self.assertEqual((made["last_used"], made["last_address"]), (at, "10.1.0.7"))
        self.assertEqual((made["kind"], made["expires"], made["is_expired"]), ("made", None, False))
        self.assertEqual((chosen["kind"], chosen["label"]), ("chosen", "old"))
        self.assertEqual((chosen["expires"], chosen["is_expired"]), ("2020-12-31", True))
        self.assertIsNone(chosen["last_used"])
        self.assertNotIn("$", said)

    def test_table(self) -> None:
        """A line for each password, the login once."""
        _, said, _ = self.run_client("list")
        heads, made, chosen, count = said.splitlines()
        self.assertTrue(heads.startswith("LOGIN"))
        self.assertRegex(made, r"^printer3 +- +made +- .* 10\.1\.0\.7 +m365gw\.toml:13$")
        self.assertRegex(chosen, r"^ +old +chosen +2020-12-31 EXPIRED +- +-$")
        self.assertEqual(count, "1 login.")

    def test_directory_that_cannot_be_read(self) -> None:
        """What is not known is not left out in silence: it is said why, with an exit code."""
        (self.folder / "state" / "state.db").write_text("no database" * 100)
        status, said, error = self.run_client("list")
        self.assertEqual((status, said), (75, ""))
        self.assertIn("state.db", error)


class PasswdTests(ConfiguredTestCase):
    def test_what_is_printed_is_configuration(self) -> None:
        """Pasted where it says, the login has one password more."""
        words = ("--label", "new", "--expires", "2030-06-30", "--network", "10.0.0.0/8")
        status, table, said = self.run_client("passwd", "--print", "printer3", *words)
        self.assertEqual(status, 0)
        self.assertIn(f"{self.config}:13", said)
        text = self.config.read_text() + table
        settings, problems = settings_from(Tree(tomllib.loads(text)))
        assert settings is not None, problems
        password = settings.client[0].password[1]
        self.assertEqual((password.label, password.networks), ("new", ("10.0.0.0/8",)))
        self.assertEqual(password.expires, date(2030, 6, 30))
        shown = said.split("shown this once:")[1].split()[0]
        self.assertTrue(passwords.verify(password.hash, shown))

    def test_login_that_is_not_there(self) -> None:
        """Says which there are, and how to make it."""
        for command in (("passwd", "--print"), ("remove",)):
            status, said, error = self.run_client(*command, "printer4")
            self.assertEqual((status, said), (1, ""))
            self.assertIn("Known: printer3. To make it: m365gw client add printer4", error)

    def test_configured_ones_are_locked(self) -> None:
        """What stands in the file is its owner's; the command says where it stands."""
        before = self.config.read_text()
        for words in (("passwd",), ("remove", "--yes"), ("change", "--sender", "*@b.example")):
            status, said, error = self.run_client(*words, "printer3")
            self.assertEqual((status, said), (1, ""), words)
            self.assertIn(f"at {self.config}:13", error)
        self.assertEqual(self.config.read_text(), before)


class MadeTests(ConfiguredTestCase):
    """Logins made beside the configuration, while no service runs."""

    def setUp(self) -> None:
        super().setUp()
        words = ("--sender", "erp@contoso.com", "--mailbox", "Relay@contoso.com")
        status, said, self.told = self.run_client("add", "erp", *words, "--label", "first")
        self.assertEqual((status, self.told[:21]), (0, "Password for erp, sho"))
        self.assertEqual(said, "erp may log in, from the next start of the service on.\n")

    def erp(self) -> dict[str, Any]:
        status, said, _ = self.run_client("show", "erp", "--json")
        self.assertEqual(status, 0)
        row: dict[str, Any] = json.loads(said)
        return row

    def test_it_is_in_the_directory(self) -> None:
        """With its password as a hash only, and who made it."""
        row = self.erp()
        self.assertEqual((row["origin"], row["senders"]), ("directory", ["erp@contoso.com"]))
        self.assertTrue(row["made_by"])
        self.assertEqual([one["label"] for one in row["passwords"]], ["first"])
        password = self.told.split("shown this once:")[1].split()[0]
        state = (self.folder / "state" / "state.db").read_bytes()
        self.assertNotIn(password.encode(), state)
        _, said, _ = self.run_client("list")
        self.assertRegex(said, r"(?m)^erp +first +made .* command$")

    def test_change(self) -> None:
        """What is named is changed, lists whole; an empty text clears; the rest stays."""
        status, _, _ = self.run_client("change", "erp", "--recipient", "*@b.c", "--network", "::1")
        self.assertEqual(status, 0)
        row = self.erp()
        said = (row["recipients"], row["networks"], row["senders"])
        self.assertEqual(said, (["*@b.c"], ["::1"], ["erp@contoso.com"]))
        self.run_client("change", "erp", "--recipient", "", "--messages-per-hour", "9")
        row = self.erp()
        self.assertEqual((row["recipients"], row["messages_per_hour"]), ([], 9))

    def test_change_that_makes_no_sense(self) -> None:
        """All that is wrong is said, and nothing is changed."""
        words = ("--mailbox", "nobody@contoso.com", "--network", "10.1.2.3/8")
        status, said, error = self.run_client("change", "erp", *words)
        self.assertEqual((status, said), (1, ""))
        self.assertIn("The change was not made.", error)
        self.assertIn('there is no mailbox "nobody@contoso.com"', error)
        self.assertIn("Did you mean 10.0.0.0/8?", error)
        self.assertEqual(self.erp()["networks"], [])
        self.assertEqual(self.run_client("change", "erp")[0], 2)

    def test_passwords(self) -> None:
        """One more beside the old one, then the old one is taken away."""
        words = ("--label", "new", "--expires", "2030-06-30", "--json")
        status, said, error = self.run_client("passwd", "erp", *words)
        self.assertEqual((status, error), (0, ""))
        self.assertEqual(len(json.loads(said)["password"]), 32)
        old, new = self.erp()["passwords"]
        self.assertEqual(
            (old["label"], new["label"], new["expires"]), ("first", "new", "2030-06-30")
        )
        self.assertEqual(self.run_client("passwd", "erp", "--remove", "frist", "--yes")[0], 1)
        self.assertEqual(self.run_client("passwd", "erp", "--remove", old["id"], "--yes")[0], 0)
        self.assertEqual(self.erp()["passwords"], [new])

    def test_remove(self) -> None:
        """Only when somebody is sure; a dry run only shows it."""
        self.assertEqual(self.run_client("remove", "erp", "--dry-run")[0], 0)
        status, _, error = self.run_client("remove", "erp")
        self.assertEqual(status, 2)
        self.assertIn("--yes", error)
        self.erp()
        self.assertEqual(self.run_client("remove", "erp", "--yes")[0], 0)
        self.assertEqual(self.run_client("show", "erp")[0], 1)
