"""The spool dies after each of its system calls while mail goes by way of the commit log."""

from __future__ import annotations

import errno

from m365gw.spool.spool import Spool
from tests.spool.logged import LOG_SIZE, commit, settle
from tests.spool.memory import MemoryFiles
from tests.spool.test_crash import (
    SMALL,
    CrashCase,
    ErrorCase,
    Promises,
    accept,
    deliver,
    deliver_partly,
    opened,
)


def accept_logged(spool: Spool, promises: Promises, *contents: bytes) -> None:
    """Take messages in one batch by way of the log."""
    accept(spool, promises, *contents, commit=commit)


def settle_logged(spool: Spool, promises: Promises) -> None:
    settle(spool)


def accept_by_log(spool: Spool, promises: Promises) -> None:
    """Some rounds are acknowledged, and none has become files yet."""
    accept_logged(spool, promises, SMALL)
    accept_logged(spool, promises, SMALL, SMALL)


def settle_by_log(spool: Spool, promises: Promises) -> None:
    accept_by_log(spool, promises)
    settle_logged(spool, promises)


def logged_day(spool: Spool, promises: Promises) -> None:
    """Mail goes out as soon as it is in its files, and the places of the log are used again."""
    for _ in range(3):
        accept_by_log(spool, promises)
        settle_logged(spool, promises)
        deliver(spool, promises)
    accept_by_log(spool, promises)
    accept(spool, promises, SMALL)
    deliver_partly(spool, promises)


class LogCrashTests(CrashCase):
    """The same of mail that is in the log before it is in files."""

    log_size = LOG_SIZE

    def test_first_start(self) -> None:
        """A log that was never made completely is made at the next start."""
        calls = self.walk(accept_by_log, lambda: (MemoryFiles(), Promises()))
        self.assertGreater(calls, 100)

    def test_acknowledged(self) -> None:
        """What only the log is sure to have is there after a crash."""
        self.assertGreater(self.walk(accept_by_log), 8)

    def test_settled(self) -> None:
        """It becomes a file once."""
        self.assertGreater(self.walk(settle_by_log), 20)

    def test_day(self) -> None:
        """What was sent does not come back from the log."""
        self.assertGreater(self.walk(logged_day), 100)

    def test_replay(self) -> None:
        """A start that brings back mail may crash too, be it of the service or of a command."""

        def after_a_crash() -> tuple[MemoryFiles, Promises]:
            files, promises = self.disk()
            accept_by_log(opened(files, LOG_SIZE), promises)
            *_, nothing_but_the_log = files.power_losses()
            return nothing_but_the_log, promises

        for self.log_size in (LOG_SIZE, 0):
            self.assertGreater(self.walk(deliver, after_a_crash), 100)


class LogErrorTests(ErrorCase):
    """And of errors."""

    log_size = LOG_SIZE

    def test_disk_broken(self) -> None:
        """EIO of one call, and of all that follow."""
        for scenario in (accept_by_log, settle_by_log, logged_day):
            self.walk_errors(scenario, errno.EIO)
            self.walk_errors(scenario, errno.EIO, persists=True)

    def test_disk_full(self) -> None:
        """ENOSPC."""
        for scenario in (accept_by_log, settle_by_log):
            self.walk_errors(scenario, errno.ENOSPC)
            self.walk_errors(scenario, errno.ENOSPC, persists=True)
