"""What failed before: so that a permission granted a moment ago is not mistaken for a wrong one.

Microsoft takes up to two hours to act on a permission, and a result before that is no evidence.
One private file in state_dir keeps, for each mailbox, the checks that failed, why, and since when.

A file that is missing or damaged is an empty memory; one that cannot be written is told as a note.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from attrs import asdict, frozen

from m365gw.directory.private_files import write_private
from m365gw.doctor.finding import Finding

FILE: Final = "doctor.json"


@frozen
class Failure:
    """One check that failed: with which diagnosis, since when and when last (seconds)."""

    check: str
    key: str
    since: float
    last: float


class Memory:
    """The last examination of each mailbox. Blocking calls."""

    def __init__(self, state_dir: str) -> None:
        self._path = Path(state_dir) / FILE

    def failures(self, mailbox: str) -> tuple[Failure, ...]:
        """What failed when it was examined last."""
        kept = self._load().get(mailbox.casefold(), [])
        try:
            return tuple(Failure(**each) for each in kept)
        except TypeError:
            return ()

    def remember(self, found: dict[str, dict[str, Finding]], now: float) -> None:
        """Keep what failed now, with since when if it failed before. Raises OSError."""
        kept = self._load()
        for mailbox, findings in found.items():
            before = {(one.check, one.key): one.since for one in self.failures(mailbox)}
            kept[mailbox.casefold()] = [
                asdict(Failure(check, key, before.get((check, key), now), now))
                for check, key in _failed(findings)
            ]
        write_private(self._path, json.dumps(kept, indent=1).encode())

    def _load(self) -> dict[str, Any]:
        try:
            kept = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}


def _failed(findings: dict[str, Finding]) -> list[tuple[str, str]]:
    return [
        (finding.id, finding.seen.diagnosis.key)
        for finding in findings.values()
        if finding.result == "fail" and finding.seen.diagnosis is not None
    ]
