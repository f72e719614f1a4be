"""The tables of the documents name the tests that hold what they say, and those are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from m365gw.config.load import load
from m365gw.directory import passwords

ROOT = Path(__file__).parents[1]
_NAMED = re.compile(r"`(test_\w+\.test_\w+)`")


def tests() -> Iterator[str]:
    """Every test as `module.name`."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            if is_function and node.name.startswith("test_"):
                yield f"{path.stem}.{node.name}"


def rows(document: str) -> Iterator[list[str]]:
    """The cells of each row of the tables with a column "Test"."""
    has_tests = False
    for line in (ROOT / "docs" / document).read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("|"):
            has_tests = False
        elif cells[-1] == "Test":
            has_tests = True
        elif has_tests and not line.startswith("|-"):
            yield cells


class TableTests(SynchronousTestCase):
    def assert_tested(self, document: str, at_least: int) -> None:
        """Each row names its tests, and they exist."""
        known = set(tests())
        found = list(rows(document))
        self.assertGreaterEqual(len(found), at_least)
        named = [(cells[0], _NAMED.findall(cells[-1])) for cells in found]
        self.assertEqual([what for what, names in named if not names], [])
        self.assertEqual({name for _, names in named for name in names} - known, set())

    def test_devices(self) -> None:
        """What a device needs is tested by its name."""
        self.assert_tested("devices.md", 30)

    def test_configuration_for_devices_is_good(self) -> None:
        """What the page shows can be copied, once it has a password and a mailbox."""
        page = (ROOT / "docs" / "devices.md").read_text()
        shown = page.partition("```toml\n")[2].partition("```")[0]
        file = Path(self.mktemp())
        file.touch(0o600)
        file.write_text(
            'hostname = "relay.contoso.com"\nstate_dir = "state"\nspool_dir = "spool"\n'
            + shown.replace('"..."', f'"{passwords.generate()[1]}"')
            + '[[mailbox]]\naddress = "relay@contoso.com"\nflow = "device"\n'
            + 'tenant = "contoso.com"\nclient_id = "00000000-0000-4000-8000-0000000000a1"\n'
        )
        (listener,) = load(str(file), {}).settings.listener
        self.assertEqual(listener.name, "devices")

    def test_threats(self) -> None:
        """What is done against each threat is tested."""
        self.assert_tested("security.md", 35)
