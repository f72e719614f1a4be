"""What a spool holds open of its file system, and the trial of a disk that failed.

A file system that failed cannot be unmounted, repaired and mounted again while somebody holds it.
So it is let go of, and looked for again at its path. The numbers of the descriptors stay ours all
the while: whoever still works with one of them meets an error, never another file.

What is found at the path has to be a spool. An empty mount point is none, and nothing is written
to it.

Failures: OSError and `Unusable` from `take`. None leave `probe`: `obstacle` tells.
"""

from __future__ import annotations

from m365gw.spool import layout, leftovers
from m365gw.spool.commit_log import CommitLog
from m365gw.spool.files import Files
from m365gw.spool.health import Health, SpoolError, Unusable, is_shortage
from m365gw.spool.replay import replay
from m365gw.spool.unsynced import Unsynced

PROBE = "incoming/tmp/probe"


class Grip:
    """The hold on the spool in one folder. Made with the folder open.

    `obstacle` says why the last trial failed, "" when it was good; `times_found` counts how often
    the folder was let go of and found again.
    """

    def __init__(
        self,
        files: Files,
        health: Health,
        unsynced: Unsynced,
        path: str,
        hostname: str,
        log_size: int,
    ) -> None:
        self._files = files
        self._health = health
        self._unsynced = unsynced
        self._hostname = hostname
        self.path = path
        self.new = -1  # the folder of new mail, to be synced; -1: the spool is only looked at
        self._lock = -1
        self._log_size = log_size  # octets; 0: none is made
        self.log: CommitLog | None = None
        self.is_held = True
        self.obstacle = ""
        self.times_found = 0

    def take(self) -> None:
        """Lock the spool, make what is missing of it, and clear up what a crash left."""
        layout.check_owner(self._files, self.path)
        self._lock = layout.take_lock(self._files, self.path, self._hostname)
        layout.make_folders(self._files, self.path)
        leftovers.sweep(self._files)
        self._clear_up()
        self.new = self._files.open_folder("incoming/new")

    def _clear_up(self) -> None:
        """Take up what was on its way, by the log and by itself, and begin a new log."""
        replay(self._files, self.path)
        leftovers.take_up(self._files, self._health)
        if self._log_size:
            self.log = CommitLog.create(self._files, self._health, self._log_size)

    @property
    def descriptors(self) -> list[int]:
        """All that is held open."""
        return [fd for fd in (self.new, self._lock, self._files.root) if fd >= 0]

    def probe(self) -> bool:
        """BLOCKING. Try the disk; returns whether the gate is open now.

        Called now and then while the gate is closed: after a minute of good probes it opens. A disk
        that fails is let go of; the next probe looks for it at its path.
        """
        try:
            with self._health:
                if self.log is not None and self.log.is_broken:
                    self._let_go()
                if not self.is_held:
                    self._find_again()
                self._write()
        except (SpoolError, Unusable) as error:
            self.obstacle = str(error.cause if isinstance(error, SpoolError) else error)
            self._health.prolong()
            self._unsynced.close()
            self._let_go()
        else:
            self.obstacle = ""
            self._health.succeed()
        return not self._health.closed

    def _write(self) -> None:
        try:
            layout.write_durably(self._files, PROBE, b"probe\n")
            self._files.unlink(PROBE)
        except OSError as error:
            if not is_shortage(error):
                raise
            self._files.fsync(self._lock)  # a full disk is none that failed

    def _let_go(self) -> None:
        self.is_held = False
        if self.log is not None:
            self.log.lose()
        for fd in self.descriptors:
            self._files.let_go(fd)

    def _find_again(self) -> None:
        self._files.reopen(self.path)
        layout.check_is_spool(self._files, self.path)
        layout.check_owner(self._files, self.path)
        lock = layout.take_lock(self._files, self.path, self._hostname)
        self._files.replace(self._lock, lock)
        self._files.replace(self.new, self._files.open_folder("incoming/new"))
        self.log = None
        # What was taken in may lie there under its hidden name, if the disk forgot the last.
        self._clear_up()
        self.is_held = True
        self.times_found += 1
