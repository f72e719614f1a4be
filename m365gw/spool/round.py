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
    """Some drafts on their way."""

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
        """BLOCKING. The whole round."""
        while descriptors := self.unsynced():
            self.synced(self._files.sync_all(descriptors))
        return self.conclude()

    def unsynced(self) -> list[int]:
        """Descriptors to be synced next, all together; none when the round can be concluded."""
        if not self._written or len(self._errors) > len(self._written):
            return []
        if self._errors:
            return [self._folder]
        files = [draft.fd for draft in self._written]
        return files if len(files) == 1 else [*files, self._folder]

    def synced(self, errors: Sequence[OSError | None]) -> None:
        """What their sync came to, in order."""
        self._errors += errors

    def conclude(self) -> list[Result]:
        """The entry of each draft, or its error, in order; entries are visible now."""
        if self._written:
            *errors, of_folder = self._errors
            for draft, error in zip(self._written, errors, strict=True):
                draft.synced(error or of_folder)
                draft.show()
        return [draft.end() for draft in self._drafts]
