"""The house rules that a program can check: imports go one way, names say something.

A module imports only from floors below it or from its own room (`docs/architecture.md`).
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "m365gw"

FLOORS = {
    "smtp": 0,
    "microsoft": 0.5,  # its tables speak of SMTP replies
    "config": 1,
    "events": 1,
    "log_lines": 0,
    "tracing": 0.5,
    "log_tail": 1.5,
    "incidents": 1.5,  # told in the log, in the words of a diagnosis
    "metrics": 1,
    "metric_rules": 0,
    "metric_table": 0,
    "recent": 1,
    "words": 0,
    "spool": 2,
    "directory": 2,
    "moving": 2,  # files of other programs
    "edge": 3,
    "reactor": 2.5,
    "syncing": 2.5,
    "relay": 3,
    "rehearsal": 3,
    "alerts": 3.25,
    "doctor": 3.5,  # examines with the code that mail goes by
    "admin": 4,
    "cli": 4,
    "service": 5,
    "twistd": 6,
    "loading": 7,
}
# Rooms that may not meet although their floors would let them.
STRANGERS = [("edge", "relay"), ("rehearsal", "smtp"), ("rehearsal", "spool")]
MEANINGLESS = re.compile(
    r"(^|_)(util|utils|helper|helpers|common|misc|manager|handler|base|core|engine|processor)(_|$)"
)


def modules() -> Iterator[tuple[Path, str]]:
    """Each module of the package with the room it belongs to."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] not in ("__init__", "__main__"):
            yield path, parts[0]


def imported(path: Path) -> Iterator[str]:
    """The full name of everything a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_imported(path: Path) -> set[str]:
    """The rooms of ours that a module imports from."""
    names = [name.split(".") for name in imported(path)]
    return {name[1] for name in names if name[0] == "m365gw" and name[1:2] and name[1] in FLOORS}


class FloorTests(SynchronousTestCase):
    def test_imports_go_down(self) -> None:
        """No module imports from a floor above its own, or from another room on it."""
        for path, room in modules():
            for other in rooms_imported(path) - {room}:
                with self.subTest(module=str(path), imports=other):
                    self.assertLess(FLOORS[other], FLOORS[room])

    def test_strangers_never_meet(self) -> None:
        """Mail in and mail out meet in the spool only; the rehearsal shares no wire code."""
        for path, room in modules():
            for one, other in STRANGERS:
                if room in (one, other):
                    stranger = other if room == one else one
                    with self.subTest(module=str(path)):
                        self.assertNotIn(stranger, rooms_imported(path))

    def test_the_reactor_is_above_the_second_floor(self) -> None:
        """Mail at rest and all below it know nothing of Twisted's reactor."""
        for path, room in modules():
            if FLOORS[room] <= 2:
                with self.subTest(module=str(path)):
                    self.assertEqual([n for n in imported(path) if "twisted.internet" in n], [])

    def test_every_room_is_known(self) -> None:
        """A new room gets its floor here and in the documentation."""
        self.assertLessEqual({room for _, room in modules()}, set(FLOORS))


class NamingTests(SynchronousTestCase):
    def test_names_say_something(self) -> None:
        """No file is named for being useful to somebody."""
        for path, _ in modules():
            with self.subTest(module=str(path)):
                self.assertIsNone(MEANINGLESS.search(path.stem))

    def test_every_module_says_what_it_is_for(self) -> None:
        """The first thing in a module is its purpose."""
        for path, _ in modules():
            with self.subTest(module=str(path)):
                self.assertTrue(ast.get_docstring(ast.parse(path.read_text())))

    def test_files_are_of_one_concept(self) -> None:
        """A file beyond 300 lines wants to be two."""
        for path, _ in modules():
            with self.subTest(module=str(path)):
                self.assertLessEqual(len(path.read_text().splitlines()), 300)


class RepositoryTests(SynchronousTestCase):
    def test_the_map_of_rooms_leads_to_files(self) -> None:
        """Whoever follows docs/map.md finds a file under each name."""
        page = (ROOT / "docs" / "map.md").read_text()
        rows = [row for row in page.split("\n") if row.startswith("| ") and row.count("|") == 3]
        self.assertGreater(len(rows), 20)
        for row in rows:
            room = ""
            for name in re.findall(r"`([a-z_/]+)`", row.split("|")[2]):
                place = ROOT / name if name.startswith(("tests/", "bench/", "etc/")) else None
                room = name.split("/")[0] if name.endswith("/") else room
                inside = name if "/" in name or name in FLOORS else f"{room}/{name}"
                with self.subTest(row=row, name=name):
                    found = [place, PACKAGE / inside, PACKAGE / f"{inside}.py"]
                    self.assertTrue(any(one is not None and one.exists() for one in found))

    def test_no_package_index_is_named(self) -> None:
        """Where packages come from is the administrator's affair."""
        hosts = re.compile(r"pypi\.org|pythonhosted\.org|registry\.npmjs|deb\.debian\.org", re.I)
        listed = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split("\n")
        for name in filter(None, listed):
            path = ROOT / name
            if path.is_file() and path != Path(__file__):
                with self.subTest(file=name):
                    self.assertIsNone(hosts.search(path.read_text(errors="replace")))
