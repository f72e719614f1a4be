"""`m365gw client`: logins that can be pasted into the configuration."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

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
        self.assertRegex(made, r"^printer3 +- +made +- .* 10\.1\.0\.7$")
        self.assertRegex(chosen, r"^ +old +chosen +2020-12-31 EXPIRED +- +-$")
        self.assertEqual(count, "1 login.")

    def test_last_use_that_may_not_be_read(self) -> None:
        """Unknown is not never: it says who may know."""
        (self.folder / "state" / "state.db").write_text("no database" * 100)
        status, said, error = self.run_client("list")
        self.assertEqual(status, 0)
        self.assertIn("cannot be read", error)
        self.assertIn("printer3", said)


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
            self.assertIn("Known: printer3. To make it: m365gw client add --print printer4", error)

    def test_nothing_is_written(self) -> None:
        """Without --print there is nothing to do; the file is its owner's."""
        self.assertEqual(self.run_client("passwd", "printer3")[0], 2)
        before = self.config.read_text()
        status, _, error = self.run_client("remove", "printer3")
        self.assertEqual(status, 1)
        self.assertIn(f"at {self.config}:13", error)
        self.assertEqual(self.config.read_text(), before)
