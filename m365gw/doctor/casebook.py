"""The last findings about the gateway and about each mailbox, and those that are just coming.

Kept in one private file in state_dir, so that a restart forgets none. A file that is missing or
damaged is an empty book. No finding holds a token or a secret (`doctor.finding`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from attrs import asdict, define, field

from m365gw.directory.private_files import write_private

FILE: Final = "doctor-findings.json"
GATEWAY: Final = ""  # its key, where mailboxes have their address


@define
class Examined:
    """One examination of one subject. Times are in seconds since 1970; `findings` are plain."""

    at: float
    by: str  # who wanted it
    findings: list[dict[str, Any]] = field(factory=list)
    is_under_way: bool = False

    def count(self, result: str) -> int:
        """How many checks had this result."""
        return sum(each["result"] == result for each in self.findings)


class Casebook:
    """What is known, by address; the gateway itself is ""."""

    def __init__(self, state_dir: str) -> None:
        self._path = Path(state_dir) / FILE
        self.known: dict[str, Examined] = {}
        self.changes = 0  # so that it can be seen that something is new

    def load(self) -> None:
        """BLOCKING. Read what was kept."""
        try:
            kept = json.loads(self._path.read_bytes())
            self.known = {name: Examined(**each) for name, each in kept.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            self.known = {}

    def keep(self) -> None:
        """BLOCKING. Write what is known; raises OSError."""
        done = {name: asdict(each) for name, each in self.known.items() if not each.is_under_way}
        write_private(self._path, json.dumps(done).encode())

    def begin(self, names: Iterable[str], by: str, at: float) -> None:
        """These are examined now: what was known of them makes room."""
        for name in names:
            self.known[name] = Examined(at, by, is_under_way=True)
        self.changes += 1

    def hear(self, name: str, finding: dict[str, Any]) -> None:
        """A finding comes."""
        if name in self.known:
            self.known[name].findings.append(finding)
            self.changes += 1

    def end(self, names: Iterable[str], there: Iterable[str]) -> None:
        """They are through. What is no longer `there` is forgotten."""
        for name in names:
            self.known[name].is_under_way = False
            self.known[name].findings.sort(key=lambda each: str(each["id"]))
        kept = {GATEWAY, *there}
        self.known = {name: each for name, each in self.known.items() if name in kept}
        self.changes += 1
