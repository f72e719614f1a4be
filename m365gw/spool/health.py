"""Errors of the spool, and the gate that closes when the disk cannot be trusted.

A system call that failed becomes a `SpoolError`, which carries the reply of the message it
concerns: 452 4.3.1 when space ran out, 451 4.3.0 for anything else. A shortage (space, open
files, memory) passes by itself and delivery makes it better, and a file that does not let us in,
or cannot be read, says nothing of the others: these only refuse the one message. Every other
error, above all a failed fsync, says that what we write may not be there tomorrow: then the gate
closes. While it is closed no mail is taken, and none is delivered, because a message that cannot
be marked or removed after it went out would go out twice.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from types import TracebackType

from m365gw.smtp.replies import Refused, Reply

REOPEN_AFTER = 60.0  # seconds of good probes before the gate opens again

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_SHORT = _FULL | {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_HARMLESS = _SHORT | {
    errno.EEXIST,
    errno.EACCES,
    errno.EPERM,
}


def is_shortage(error: OSError) -> bool:
    """Whether an error says that something is used up, which passes by itself."""
    return error.errno in _SHORT


class SpoolError(Refused):
    """The spool could not do it. `cause` is the error of the operating system."""

    def __init__(self, cause: OSError) -> None:
        if cause.errno in _FULL:
            reply = Reply(452, "4.3.1", "Insufficient system storage, try again later")
        else:
            reply = Reply(451, "4.3.0", "Local storage error, try again later")
        super().__init__(reply)
        self.cause = cause


class Unreadable(SpoolError):
    """One file cannot be read: a bad sector, or rights that somebody changed. It stays where it is.

    Unlike a shortage that is about this file, and will not pass soon.
    """


class Unusable(Exception):
    """The spool cannot be opened at all. The text says why, and what to do."""


class Gone(Exception):
    """The message is no longer where it was: delivered, removed or moved by somebody else."""


class Corrupt(Exception):
    """The file is not what was accepted. It rests in `corrupt/` and is never deleted by us."""


class Reading:
    """`with health.reading:` an OSError becomes a SpoolError, and the gate stays as it is.

    One bad sector under one message must not stop all others; a disk that fails as a whole fails
    when it is written to as well.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError):
            raise (SpoolError if error.errno in _SHORT else Unreadable)(error) from error


class Health:
    """The gate. In `with health:` an OSError becomes a SpoolError and may close it.

    `cause` is "" while the gate is open, else the first error since it closed; `since` is when,
    in seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last_failure = 0.0
        self.refused: set[int] = set()  # ids refused for the disk, whose file could not be removed
        self.reading = Reading()
        self.cause = ""
        self.since = 0.0

    @property
    def closed(self) -> bool:
        """Whether the gate is closed: nothing is taken and nothing sent."""
        return bool(self.cause)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError):
            if error.errno not in _HARMLESS:
                self.fail(error)
            raise SpoolError(error) from error

    def fail(self, error: OSError) -> None:
        """Close the gate, or keep it closed for longer."""
        self._last_failure = self._clock()
        if not self.cause:
            self.since = self._last_failure
            self.cause = os.strerror(error.errno) if error.errno else str(error)

    def prolong(self) -> None:
        """Keep the gate closed for longer, for want of anything to try."""
        self._last_failure = self._clock()

    def succeed(self) -> None:
        """A probe went well; after a minute of nothing else the gate opens."""
        if self.cause and self._clock() - self._last_failure >= REOPEN_AFTER:
            self.cause = ""
            self.since = 0.0
