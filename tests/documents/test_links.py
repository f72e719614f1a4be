"""Links lead somewhere: within the pages, from the man pages, from what the program says.

Pages are read as a repository shows them, README and all; `mkdocs build --strict` reads those in
docs/ as the site does. Addresses elsewhere are not tried: tests stay on this machine.
"""

from __future__ import annotations

import re
import runpy
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.documents.pages import ROOT, pages

ELSEWHERE = ("https://", "http://", "mailto:")
# A file of the repository, in a page or in what the program says.
NAMED = re.compile(r"(?<![\w./{-])(?:docs|etc|tests|bench|newsfragments)/[\w./*<{-]+")
PATTERN = frozenset("*<{")  # it stands for several


def links(path: Path) -> Iterator[str]:
    """Where a page leads, pictures too."""
    text = re.sub(r"(?ms)^ *```.*?^ *```$", "", path.read_text(encoding="utf-8"))
    yield from re.findall(r"\]\(([^()\s]+)\)", text)


def anchors(path: Path) -> set[str]:
    """The places in a page a link may name: its headings, as a repository page names them."""
    text = re.sub(r"(?ms)^ *```.*?^ *```$", "", path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+?)\s*$", text, re.MULTILINE):
        plain = re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", heading).replace("`", "")
        kept = [
            each for each in plain.lower() if each in " -_" or unicodedata.category(each)[0] in "LN"
        ]
        found.add("".join(kept).strip().replace(" ", "-"))
    return found


class LinkTests(SynchronousTestCase):
    def test_links_between_pages(self) -> None:
        """Page, picture or file are there, and so is the heading."""
        seen = 0
        for page in pages():
            for link in links(page):
                if link.startswith(ELSEWHERE):
                    continue
                name, _, anchor = link.partition("#")
                target = (page.parent / name).resolve() if name else page
                self.assertTrue(target.exists(), f"{page.name}: {link}")
                self.assertTrue(target.is_relative_to(ROOT), f"{page.name}: {link}")
                if anchor:
                    self.assertIn(anchor, anchors(target), f"{page.name}: {link}")
                seen += 1
        self.assertGreater(seen, 50)

    def test_files_that_are_named(self) -> None:
        """What a page, a module or a template calls by its path in the repository is there."""
        program = [path for path in (ROOT / "m365gw").rglob("*") if path.suffix in (".py", ".html")]
        for path in [*pages(), *program]:
            for name in NAMED.findall(path.read_text(encoding="utf-8")):
                is_theirs = path in program and name.startswith("etc/") and "m365gw" not in name
                if not (is_theirs or PATTERN & set(name)):
                    there = (ROOT / name.rstrip(".-/")).exists()
                    self.assertTrue(there, f"{path.relative_to(ROOT)}: {name}")

    def test_every_page_is_on_the_site(self) -> None:
        """In its navigation, once."""
        text = (ROOT / "mkdocs.yml").read_text()
        listed = re.findall(r": ([\w-]+\.md)$", text, re.MULTILINE)
        self.assertEqual(sorted(path.name for path in (ROOT / "docs").glob("*.md")), sorted(listed))

    def test_man_pages_name_man_pages(self) -> None:
        """Each command that one refers to has one."""
        folder = Path(self.mktemp())
        runpy.run_path(str(ROOT / "docs" / "make_man.py"))["write"](folder)
        written = {path.name for path in folder.iterdir()}
        for path in folder.iterdir():
            text = path.read_text(encoding="utf-8").replace("\\-", "-").replace("\\fP", "")
            for name, section in re.findall(r"\b(m365gw[\w.-]*)\(([15])\)", text):
                self.assertIn(f"{name}.{section}", written, path.name)
