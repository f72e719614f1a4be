"""`m365gw operator`: who may sign in to the console."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli import directory
from m365gw.cli.main import main
from m365gw.directory import passwords
from m365gw.directory.database import Database
from m365gw.directory.operators import Operators
from tests.config.test_load import GOOD


class OperatorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.state = self.folder / "state"
        self.config = self.folder / "m365gw.toml"
        self.config.write_text(f'state_dir = "{self.state}"\n{GOOD}')

    def run_(self, *words: str, typed: str = "") -> Result:
        return CliRunner().invoke(main, ["-c", str(self.config), "operator", *words], input=typed)

    def hash_of(self, login: str) -> str:
        operators = Operators(Database("", str(self.state))).all()
        return next(each.password_hash for each in operators if each.login == login)

    def test_a_password_is_made_and_shown_once(self) -> None:
        """It is kept as argon2id, like one that a person chose."""
        said = self.run_("add", "anna")
        self.assertEqual(said.exit_code, 0, said.output)
        self.assertIn("There is no console yet", said.output)
        password = said.output.split("once: ")[1].split()[0]
        self.assertTrue(self.hash_of("anna").startswith("$argon2id$"))
        self.assertTrue(passwords.verify(self.hash_of("anna"), password))
        self.assertNotIn(password, self.run_("list").output)

    def test_root_works_as_the_user_of_the_service(self) -> None:
        """Whom state_dir belongs to, or the folder it is made in."""
        owned: list[str] = []

        @contextmanager
        def as_owner(folder: str) -> Iterator[None]:
            owned.append(folder)
            yield

        self.patch(directory, "as_owner", as_owner)
        for _ in range(2):
            self.assertEqual(self.run_("list").exit_code, 0)
        self.assertEqual(owned, [str(self.folder), str(self.state)])

    def test_a_password_is_typed_twice(self) -> None:
        """And must not be too short; it is never an argument."""
        said = self.run_("add", "anna", "--choose", typed="long enough\nlong enough\n")
        self.assertEqual(said.exit_code, 0, said.output)
        self.assertTrue(passwords.verify(self.hash_of("anna"), "long enough"))
        short = self.run_("passwd", "anna", "--choose", typed="short\nshort\n")
        self.assertEqual(short.exit_code, 2)

    def test_list_role_and_remove(self) -> None:
        """Who may what, and when he was there last; as JSON too."""
        self.run_("add", "anna", "--role", "viewer")
        self.assertIn("has not signed in yet", self.run_("list").output)
        self.run_("role", "anna", "operator")
        (row,) = map(json.loads, self.run_("list", "--json").output.splitlines())
        self.assertEqual((row["login"], row["role"], row["last_at"]), ("anna", "operator", None))
        self.assertEqual(self.run_("remove", "anna").exit_code, 0)
        self.assertIn("Nobody may sign in yet", self.run_("list").output)

    def test_what_cannot_be(self) -> None:
        """Somebody twice, nobody at all, and what is no login."""
        self.run_("add", "anna")
        for words, code in (
            (("add", "anna"), 1),
            (("remove", "ben"), 1),
            (("passwd", "ben"), 1),
            (("add", "a b"), 2),
            (("add", "<b>"), 2),
            (("role", "anna", "king"), 2),
        ):
            with self.subTest(words=words):
                said = self.run_(*words)
                self.assertEqual(said.exit_code, code, said.output)
