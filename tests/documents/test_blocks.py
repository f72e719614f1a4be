"""Blocks that are no commands: configurations load, programs compile, data is what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import yaml
from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.load import load
from m365gw.config.problems import ConfigError
from m365gw.config.sources import read
from m365gw.config.structure import settings_from
from m365gw.rehearsal.certificates import app_certificate
from tests.config.test_schema import complaints
from tests.documents.pages import blocks, pages
from tests.microsoft.powershell_reader import Unbalanced, tokens
from tests.whole.stage import PASSWORD_HASH

# How each language is tested; any other fails.
SHOWN_ONLY = frozenset({"", "text", "html"})  # nothing a program would read
RUN = frozenset({"console", "sh"})  # by test_commands
NOT_SETTINGS = frozenset({"M365GW_CONFIG"})
MAILBOX = """
[[mailbox]]
address = "{}"
flow = "secret"
tenant = "contoso.com"
client_id = "00000000-0000-0000-0000-000000000000"
client_secret = "s"
"""


class BlockTests(SynchronousTestCase):
    def test_each_language_is_looked_at(self) -> None:
        """A language that stands here for the first time needs a test."""
        known = {"toml", *READERS, *RUN, *SHOWN_ONLY}
        for path in pages():
            for language in re.findall(r"^ *```(\S+)$", path.read_text(), re.MULTILINE):
                self.assertIn(language, known, str(path))

    def test_configurations_load(self) -> None:
        """Each as it stands, as `m365gw check` reads it, with the mailboxes and files it names."""
        certificate = b"".join(app_certificate("m365gw"))
        for block in blocks("toml"):
            folder = Path(self.mktemp())
            folder.mkdir()
            text = block.text.replace('"..."', f'"{PASSWORD_HASH}"')
            text = text.replace('cloud = "rehearsal"\n', "")  # it is what a rehearsal writes
            text = re.sub(r'(_file = )"/.*/', r'\1"', text)
            for name in re.findall(r'^\w*(?:_file|certificate|key) = "(.+?)"', text, re.MULTILINE):
                content = certificate if name.endswith(".pem") else b"https://hooks.example.com/1"
                (folder / name).write_bytes(content)
                os.chmod(folder / name, 0o600)
            (folder / "m365gw.toml").write_text(text)
            (folder / "conf.d").mkdir()
            (folder / "conf.d" / "mailboxes.toml").write_text(missing_mailboxes(text))
            try:
                load(str(folder / "m365gw.toml"), {})
            except ConfigError as error:
                self.fail(f"{block.place}: {error}")
            self.assertEqual([], complaints(text), block.place)

    def test_variables_are_settings(self) -> None:
        """Whatever is called M365GW_ in a page is what the configuration knows by that name."""
        seen = 0
        for path in pages():
            for name in set(re.findall(r"\bM365GW_[A-Z_0-9]*[A-Z0-9]\b", path.read_text())):
                if name not in NOT_SETTINGS:
                    self.assertEqual("", fault_of(name), f"{path.name}: {name}")
                    seen += 1
        self.assertGreater(seen, 5)

    def test_blocks_can_be_read(self) -> None:
        """Each by what its language is for."""
        seen = 0
        for block in blocks(*READERS):
            try:
                READERS[block.language](block.text)
            except (ValueError, SyntaxError, Unbalanced, yaml.YAMLError) as error:
                self.fail(f"{block.place}: {error}")
            seen += 1
        self.assertGreater(seen, 5)


def read_by_haproxy(text: str) -> None:
    """ValueError where HAProxy says so."""
    done = subprocess.run(
        ["haproxy", "-c", "-f", "/dev/stdin"], input=text.encode(), capture_output=True, check=False
    )
    if done.returncode:
        raise ValueError(done.stderr.decode())


READERS: dict[str, Callable[[str], object]] = {
    "json": json.loads,
    "yaml": yaml.safe_load,
    "python": lambda text: compile(text, "page", "exec"),
    "powershell": tokens,
    "haproxy": read_by_haproxy,
}


def missing_mailboxes(text: str) -> str:
    """Those a configuration names and leaves to the reader."""
    values = tomllib.loads(text)
    there = {row["address"] for row in values.get("mailbox", ())}
    rules = [row for table in ("client", "network", "local") for row in values.get(table, ())]
    named = {row["mailbox"] for row in rules if "mailbox" in row}
    named |= {values[table][key] for table, key in NAMING if key in values.get(table, {})}
    return "".join(MAILBOX.format(address) for address in sorted(named - there))


NAMING = (("alerts", "mail_from"), ("queue", "report_from"))


def fault_of(variable: str) -> str:
    """What the configuration says of the name of a variable; "" when it knows it."""
    tree = read(Path("nothing.toml"), {variable: "x"}, must_exist=False)
    problems = tree.problems or settings_from(tree)[1]
    return " ".join(each.fault for each in problems if "unknown" in each.fault)
