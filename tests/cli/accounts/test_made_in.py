"""Where an entry was made, in words."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.accounts.made_in import made_in, made_in_column


class MadeInTests(SynchronousTestCase):
    def test_in_the_configuration(self) -> None:
        """With its line; a list leaves the folder out."""
        for place, short in (
            ("/etc/m365gw/m365gw.toml:7", "m365gw.toml:7"),
            ("/etc/m365gw/conf.d/printers.toml:12", "conf.d/printers.toml:12"),
            ("environment  M365GW_CLIENT__0__LOGIN", "environment  M365GW_CLIENT__0__LOGIN"),
            ("", "the configuration"),
        ):
            row = {"origin": "file", "place": place}
            self.assertEqual(made_in(row), f"the configuration (locked): {place or 'its file'}")
            self.assertEqual(made_in_column(row), short)

    def test_beside_it(self) -> None:
        """By which way, and by whom."""
        for maker, words, short in (
            ("console: anna", "the console, by anna", "console"),
            ("self-service ben@contoso.com", "the self-service page, by ben@contoso.com",
             "self-service"),
            ("token ansible", "the API, by ansible", "API"),
            ("root[812]", "a command, by root[812]", "command"),
            (None, "a command or the console", "command"),
        ):  # fmt: skip
            row = {"origin": "directory", "made_by": maker}
            self.assertEqual((made_in(row), made_in_column(row)), (words, short))
