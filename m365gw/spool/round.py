"""One round of commit: finished drafts become durable together, and then visible.

The files are synced and the folder of new mail, where each has a hidden name. Then each gets its
own: what can be seen is whole and durable. That last step need not be durable itself, because what
is found hidden and whole after a crash is taken up (`leftovers`).

A single file is synced before its folder: the one flush of the disk does for both, where two syncs
side by side would make two. Many go together with the folder, which would not find all of them on
the disk already: others come into it all the time.

Failures: SpoolError for each draft that failed, or for all when the folder did. A failed sync is
never repeated: the kernel may since have forgotten what it could not write.
"""

from __future__ import annotations

from collections.abc import Sequence

from m365gw.spool.draft import Draft
from m365gw.spool.files import Files
from m365gw.spool.health import SpoolError
from m365gw.spool.names import Entry

Result = Entry | SpoolError


class Round:
    """Some drafts on their way. Either `run` is called, or `begin` and then `go_on`."""

    def __init__(self, files: Files, folder: int, drafts: Sequence[Draft]) -> None:
        for draft in drafts:
            if not draft.finished:
                draft.discard()  # half a message is none
        self._files = files
        self._folder = folder
        self._drafts = drafts
        self._written = [draft for draft in drafts if draft.failure is None]
        self._errors: list[OSError | None] = []  # of the files and the folder, as far as synced

    def run(self) -> list[Result]:
        """BLOCKING. The whole round: the entry or the error of each draft, in order."""
        if self._written:
            self._errors = self._files.sync_all([draft.fd for draft in self._written])
            self._errors += self._files.sync_all([self._folder])
        return self._conclude()

    @property
    def told_by(self) -> int:
        """The descriptor that is readable when a round that has begun can go on; -1 for none."""
        group = self._files.group_sync
        return -1 if group is None else group.event_fd

    def begin(self) -> bool:
        """Begin, without waiting. False when that cannot be done here: then `run` can."""
        group = self._files.group_sync
        if group is None or not self._written:
            return False
        descriptors = [draft.fd for draft in self._written]
        return group.begin(descriptors if len(descriptors) == 1 else [*descriptors, self._folder])

    def go_on(self) -> list[Result] | None:
        """Take what was synced meanwhile; the results as of `run`, or None before the end."""
        group = self._files.group_sync
        errors = group.results() if group is not None else None
        if group is None or errors is None:
            return None
        self._errors += errors
        if len(self._errors) == len(self._written):  # the folder is missing
            if group.begin([self._folder]):
                return None
            self._errors += self._files.sync_all([self._folder])
        return self._conclude()

    def _conclude(self) -> list[Result]:
        if self._written:
            *errors, of_folder = self._errors
            for draft, error in zip(self._written, errors, strict=True):
                draft.synced(error or of_folder)
                draft.show()
        return [draft.end() for draft in self._drafts]
