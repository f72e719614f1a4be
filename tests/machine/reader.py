"""Whoever reads the pages at a machine, and types what stands there, line by line."""

from __future__ import annotations

import re

from attrs import define, field

from tests.documents.examples import TYPED
from tests.documents.pages import block_with, commands
from tests.machine.machine import Machine

FETCHES = r"\b(?:apt-get|pip install|pip wheel)\b"
# Commands that do not end by themselves: the unit each runs in (`-USER`), what it says when ready.
STAYS = {
    r"\bm365gw rehearsal\b": ("rehearsal", r"\[cloud\.rehearsal\]"),
    r"\b(?:m365gw|make) demo\b": ("demo", r"Waiting for your messages"),
}


@define
class Reader:
    """A user in a folder. `followed` are the blocks that were read, by page and what is in them;
    `values` what stands for the names in braces in what is typed.
    """

    machine: Machine
    user: str
    folder: str
    followed: set[tuple[str, str]]
    values: dict[str, str] = field(factory=dict)

    def follow(self, page: str, within: str, *, only: str = "", **instead: str) -> str:
        """Type the commands of one block, the one with `within` in it; all that was said.

        `only` leaves out those of its commands that do not have this in them. `instead` is what
        the reader types where the page has a name that stands for theirs.
        """
        self.followed.add((page, within))
        said = ""
        for command in commands(block_with(page, within)):
            line = command.line.replace("contoso.com", "contoso.example")
            for theirs, ours in instead.items():
                line = line.replace(theirs, ours)
            if only in line:
                said += self.type(line)
        return said

    def type(self, line: str) -> str:
        """Type a line, and what it asks for; one that stays is left running when it is ready."""
        for pattern, (unit, ready) in STAYS.items():
            if re.search(pattern, line):
                return self.leave_running(unit, re.sub(r"\s# .*", "", line), ready)
        answers = next((text for pattern, text in TYPED if re.search(pattern, line)), "")
        said = self.machine.run(
            line,
            user=self.user,
            folder=self.folder,
            typed=answers.format(**self.values),
            fetches=bool(re.search(FETCHES, line)),
        )
        if password := re.search(r"shown this once:\s+(\S+)", said):
            self.values["password"] = password[1]
        return said

    def leave_running(self, name: str, line: str, ready: str) -> str:
        """Start it beside, as in a second shell, and wait until it says that it is ready."""
        unit = f"{name}-{self.user}"
        self.machine.start(unit, line, user=self.user, folder=self.folder)
        self.machine.wait_until(
            lambda: bool(re.search(ready, self.machine.journal(unit))), f"{line}: not ready"
        )
        return self.machine.journal(unit)
