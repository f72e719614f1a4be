"""Acknowledged messages become files: synced together, said to be so in the log, and then shown.

In this order: the files and their folder, then the log's note, then the names. So a message that
anybody can see, and send, is one that no crash brings back from the log.

Failures: none leave. Whatever fails breaks the log (`commit_log`), and nothing is lost by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from m365gw.spool import layout
from m365gw.spool.commit_log import LOST, CommitLog
from m365gw.spool.files import Files
from m365gw.spool.names import Entry


class Settling:
    """Some of the oldest rounds of the log. Made by `Spool.settling`."""

    def __init__(self, files: Files, folder: int, log: CommitLog) -> None:
        self._files = files
        self._log = log
        self._rounds = log.acknowledged()
        self._kept = [kept for round_ in self._rounds for kept in round_.messages or ()]
        self.descriptors = [kept.fd for kept in self._kept] + [folder]  # to be synced
        self.log_fd = log.fd  # to be synced then

    def synced(self, errors: Sequence[OSError | None]) -> bool:
        """What the sync of the files came to; whether the log is to be synced next."""
        error = next(filter(None, errors), None)
        if error is not None:
            self._log.fail(error)
        elif not self._log.is_broken:
            try:
                self._log.write_settled(self._rounds[-1].number)
            except OSError as failed:
                self._log.fail(failed)
        return self._is_good()

    def conclude(self, error: OSError | None) -> list[Entry]:
        """What the sync of the log came to; the entries that are visible now."""
        if error is not None:
            self._log.fail(error)
        if not self._is_good():
            return []
        self._log.free(self._rounds[-1].number)
        return [kept.entry for kept in self._kept if self._show(kept.entry, kept.fd)]

    def give_up(self) -> None:
        """Nobody knows what became of it."""
        self._log.fail(LOST)

    def _is_good(self) -> bool:
        if self._log.is_broken:
            self._log.fail(LOST)  # it may have been lost by another thread
        return not self._log.is_broken

    def _show(self, entry: Entry, fd: int) -> bool:
        """Give a file its name. If it cannot be, it is taken up with the rest."""
        with suppress(OSError):
            self._files.close(fd)
        try:
            self._files.rename(layout.hidden_path(entry.queue_id), layout.path_of(entry))
        except OSError as error:
            self._log.fail(error)
            return False
        return True
