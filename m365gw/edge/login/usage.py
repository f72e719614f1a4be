"""Which password was last used when: noted at each login, written down once a minute.

A login never waits for that. What a crash forgets is the last minute; an orderly stop writes
everything. A database that fails costs a line in the log, and is tried again at the next login.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from m365gw.directory.last_use import LastUse, Use
from m365gw.events import EventLog

WRITE_AFTER: Final = 60.0  # seconds

Write = Callable[[Sequence[Use]], "Deferred[None]"]


class Usage:
    """Notes each use. `write` writes some down, in a thread."""

    def __init__(self, uses: LastUse, clock: IReactorTime, write: Write, log: EventLog) -> None:
        self.uses = uses
        self._clock = clock
        self._write_down = write
        self._log = log
        self._due: IDelayedCall | None = None

    def note(self, login: str, stored: str, address: str) -> None:
        """A login by this password has succeeded."""
        self.uses.note(login, stored, address, self._clock.seconds())
        if self._due is None:
            self._due = self._clock.callLater(WRITE_AFTER, self._write)

    def settle(self) -> Deferred[None]:
        """Write now what is not written yet; no use comes after this. Never fails."""
        if self._due is None:
            return succeed(None)
        self._due.cancel()
        return self._write()

    def _write(self) -> Deferred[None]:
        self._due = None
        noted = self.uses.unwritten()
        writing = self._write_down(noted)
        return writing.addCallbacks(lambda _: self.uses.written(noted), self._tell)

    def _tell(self, failure: Failure) -> None:
        note = f"when passwords were last used could not be written: {failure.value}"
        self._log.emit("logins.unwritten", "smtpd", level="warn", note=note)
