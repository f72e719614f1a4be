"""`m365gw client`: logins that can be pasted into the configuration."""

from __future__ import annotations

import tomllib

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.main import main
from m365gw.config.sources import Tree
from m365gw.config.structure import settings_from
from m365gw.directory import passwords


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
