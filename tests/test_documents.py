"""Pages that are written from the code say what the code says."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import click
from twisted.trial.unittest import SynchronousTestCase

from m365gw.cli.main import main

DOCS = Path(__file__).parents[1] / "docs"
GUIDES = (DOCS.parent / "README.md", *sorted(DOCS.glob("*.md")))
WRITTEN = re.compile(
    r"`(?:sudo -u m365gw )?m365gw ([^`]+)`|^\s*(?:\$ )?(?:sudo -u m365gw )?m365gw ([a-z].*)$",
    re.MULTILINE,
)


class CommandTests(SynchronousTestCase):
    def test_commands_of_the_guides_are_there(self) -> None:
        """Whoever copies a command from a page finds command and options there."""
        seen = 0
        for guide in GUIDES:
            for match in WRITTEN.finditer(guide.read_text(encoding="utf-8")):
                line = re.split(r"\s#", (match[1] or match[2]).replace("\n", " "))[0]
                for word in unknown_in(line.split()):
                    self.fail(f"{guide.name}: {word} in: m365gw {line}")
                seen += 1
        self.assertGreater(seen, 100)


def unknown_in(words: list[str]) -> Iterator[str]:
    """The words of a command line that nothing is called, as far as its command is."""
    command: click.Command = main
    while isinstance(command, click.Group) and words and re.fullmatch("[a-z-]+,?", words[0]):
        name, *words = words
        found = command.get_command(click.Context(command), name.rstrip(","))
        if found is None:
            yield name
            return
        command = found
    known = {word for each in command.params for word in (*each.opts, *each.secondary_opts)}
    for word in words:
        option = word.partition("=")[0].strip("[],.)(")
        if option.startswith("--") and option not in {*known, "--help", "--"}:
            yield option


class ConfigurationReferenceTests(SynchronousTestCase):
    def test_it_is_what_the_code_says(self) -> None:
        """Every setting, its kind, default and meaning; on the page, and in the schema."""
        made = runpy.run_path(str(DOCS / "make_configuration.py"))
        for name, text in (("configuration.md", "page"), ("m365gw.schema.json", "schema_text")):
            written = (DOCS / name).read_text(encoding="utf-8")
            again = "Write it anew: python docs/make_configuration.py"
            self.assertEqual(made[text](), written, again)


class MetricsPageTests(SynchronousTestCase):
    def test_it_is_what_the_code_says(self) -> None:
        """Every metric with its labels and meaning."""
        page = runpy.run_path(str(DOCS / "make_metrics.py"))["page"]()
        written = (DOCS / "metrics.md").read_text(encoding="utf-8")
        self.assertEqual(page, written, "Write it anew: python docs/make_metrics.py")


class ApiDescriptionTests(SynchronousTestCase):
    def test_it_is_what_the_code_says(self) -> None:
        """Every endpoint, with what it takes and what it says."""
        made = runpy.run_path(str(DOCS / "make_openapi.py"))["page"]()
        written = (DOCS / "openapi.json").read_text(encoding="utf-8")
        self.assertEqual(made, written, "Write it anew: python docs/make_openapi.py")
