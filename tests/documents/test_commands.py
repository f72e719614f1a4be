"""Every command of the pages: it is there, and it does what the page says when it is run."""

from __future__ import annotations

import re
from itertools import groupby

from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

from tests.documents.examples import MADE, NOT_RUN, OF_A_MACHINE, ON_A_MACHINE, WALKED
from tests.documents.pages import ROOT, block_with, blocks, commands, plain
from tests.documents.running import play
from tests.documents.scene import CONFIGURATION, Scene
from tests.machine.containers import PAGES, lines_of
from tests.whole.stage import WholeTestCase


class CommandTests(WholeTestCase):
    def test_every_command_is_run(self) -> None:
        """In the order of its page, with what the page begins with; what is shown is said."""
        microsoft = self.microsoft("--no-limits")
        gateway = self.gateway(microsoft, configuration=CONFIGURATION)
        scene = Scene.made(self.folder / "pages", microsoft, gateway)
        wrong: list[str] = []
        for page, found in groupby(blocks("console", "sh"), lambda block: block.page):
            if page not in WALKED:
                wrong += play(scene, page, found)
        self.assertEqual([], wrong, "\n\n".join(wrong))


class NotRunTests(SynchronousTestCase):
    def test_what_is_not_run_is_tested_elsewhere(self) -> None:
        """The tests that are named for it are there."""
        for each in NOT_RUN:
            for name in each.tests:
                namedAny(name)
        for name in WALKED.values():
            namedAny(name)

    def test_what_changes_a_machine_is_typed_on_one(self) -> None:
        """Each such command stands in a block that `make machine` follows."""
        places = [place for followed in ON_A_MACHINE.values() for place in followed]
        typed = {plain(each) for place in places for each in commands(block_with(*place))}
        for block in blocks("console", "sh"):
            for command in commands(block):
                if re.search(OF_A_MACHINE, plain(command)):
                    where = "it is in no block of ON_A_MACHINE (tests/documents/examples.py)"
                    self.assertIn(plain(command), typed, f"{command.place}: {where}")

    def test_what_is_made_is_made_by_somebody(self) -> None:
        """Each target the Makefile tells of has its tests, or is what decides over a change."""
        makefile, decides = (ROOT / "Makefile").read_text(), (ROOT / ".ci" / "run").read_text()
        told = re.findall(r"^# make (\w+)", makefile, re.MULTILINE)
        self.assertEqual(sorted(told), sorted(MADE))
        for target, tests in MADE.items():
            if not tests:
                self.assertRegex(decides, rf"\bmake (?:[\w-]+ )*{target}\b")
            for name in tests:
                namedAny(name)

    def test_what_says_docker_is_given_to_one(self) -> None:
        """By `make image`: a page with a new line about Docker has to be one of its pages."""
        given = {line for page in PAGES for line in lines_of(page)}
        for block in blocks("console", "sh"):
            for command in commands(block):
                if "docker" in command.line:
                    self.assertIn(command.line, given, command.place)
        self.assertGreater(len(given), 20)

    def test_the_user_of_the_readme_is_that_of_the_unit(self) -> None:
        """Who is made with useradd, with which folders, is who the unit starts."""
        unit = (ROOT / "etc" / "m365gw.service").read_text()
        readme = (ROOT / "README.md").read_text()
        user = re.search(r"^User=(\w+)$", unit, re.MULTILINE)
        assert user
        self.assertRegex(readme, rf"useradd --system .* {user[1]}\n")
        for folder in re.findall(r"install -d -o (\w+) .* (/\S+) (/\S+)", readme)[0][1:]:
            self.assertIn(folder.removeprefix("/var/lib/"), unit)
