"""`m365gw token`: made, listed, removed, by the directory itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.main import main
from tests.config.test_load import GOOD


class TokenTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.config = folder / "m365gw.toml"
        self.config.write_text(f'state_dir = "{folder}/state"\n{GOOD}')

    def run_(self, *words: str) -> Result:
        return CliRunner().invoke(main, ["-c", str(self.config), "token", *words])

    def test_a_token_is_shown_once(self) -> None:
        """When it is made; the list has its name, role and end, and never itself."""
        self.assertIn("No tokens.", self.run_("list").output)
        made = self.run_("add", "grafana", "--ends-in", "90d")
        self.assertEqual(made.exit_code, 0, made.output)
        found = re.search(r"shown once: (m365gw_\S{43})", made.output)
        assert found is not None
        listed = self.run_("list").output + self.run_("list", "--json").output
        self.assertNotIn(found[1], listed)
        self.assertIn("grafana                   viewer    not used, until ", listed)

    def test_programs_read_the_list(self) -> None:
        """One JSON object a line; a token without an end has none."""
        self.run_("add", "deploy", "--role", "operator")
        row = json.loads(self.run_("list", "--json").output)
        told = (row["name"], row["role"], row["ends_at"], row["last_at"])
        self.assertEqual(told, ("deploy", "operator", None, None))

    def test_what_cannot_be_is_said(self) -> None:
        """A name that is taken or not there: 1; one that is none, or a life that is none: 2."""
        self.run_("add", "grafana")
        self.assertEqual(self.run_("add", "grafana").exit_code, 1)
        self.assertEqual(self.run_("remove", "nobody").exit_code, 1)
        self.assertEqual(self.run_("add", "two words").exit_code, 2)
        self.assertEqual(self.run_("add", "other", "--ends-in", "soon").exit_code, 2)
        self.assertEqual(self.run_("remove", "grafana").exit_code, 0)
