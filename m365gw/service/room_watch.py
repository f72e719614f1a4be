"""Little room on the disk of the spool is an incident: opened once, and closed once it is over.

Without room no mail is taken (452, `edge/receiving/space`); what is there goes out and makes room,
so at the brink it would come and go with each message. It is over when there was enough for a
minute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from m365gw.events import EventLog
from m365gw.incidents import tell_closed, tell_opened
from m365gw.microsoft.diagnosis import Diagnosis

LOOK_EVERY = 5.0  # seconds
OVER_AFTER = 60.0  # seconds with enough room


class RoomWatch:
    """Looks at the room now and then, from `start` to `stop`.

    `lack` says what is wrong, and why, and what to do (`status.lack_of_space`); {} for enough.
    """

    def __init__(
        self, lack: Callable[[], Mapping[str, str]], clock: IReactorTime, log: EventLog
    ) -> None:
        self._lack = lack
        self._clock = clock
        self._log = log
        self._incident: Diagnosis | None = None
        self._opened_at = self._lacked_at = 0.0
        self._again: IDelayedCall | None = None

    def start(self) -> None:
        """Look now, and then again and again."""
        now, lack = self._clock.seconds(), self._lack()
        if lack:
            self._lacked_at = now
            if self._incident is None:
                self._opened_at = now
                self._incident = Diagnosis("spool-full", **lack, who="operator")
                tell_opened(self._log, self._incident)
        elif self._incident is not None and now - self._lacked_at >= OVER_AFTER:
            tell_closed(self._log, self._incident, now - self._opened_at)
            self._incident = None
        self._again = self._clock.callLater(LOOK_EVERY, self.start)

    def stop(self) -> None:
        """Look no more."""
        if self._again is not None and self._again.active():
            self._again.cancel()
