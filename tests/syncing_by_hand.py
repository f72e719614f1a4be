"""Files that are synced when a test says so."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from m365gw.spool.group_sync import GroupSync, Results


class ByHand(GroupSync):
    """The kernel's part. `refuses`: it begins nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[list[int]] = []
        self.refuses = False
        self.event_fd = 99
        self._results: Results | None = None  # type: ignore[assignment]

    def begin(self, descriptors: Sequence[int]) -> bool:
        if not self.refuses:
            self.begun.append(list(descriptors))
        return not self.refuses

    def come_back(self, *results: OSError | None) -> None:
        """All files of the group have come back; without results none has failed."""
        self._results = list(results) or [None] * len(self.begun[-1])

    def results(self) -> Results | None:
        results, self._results = self._results, None  # type: ignore[assignment]
        return results

    def give_up(self) -> Results:
        return [OSError(errno.EIO, "not known") for _ in self.begun[-1]]

    def close(self) -> None:
        self.event_fd = -1
