"""Little room on the disk of the spool is an incident: opened once, and closed once it is over.

Without room no mail is taken (452, `edge/receiving/space`); what is there goes out and makes room,
so at the brink it would come and go with each message. It is over when there was enough for a
minute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from m365gw.incidents import Incidents
from m365gw.microsoft.diagnosis import Diagnosis

LOOK_EVERY = 5.0  # seconds
OVER_AFTER = 60.0  # seconds with enough room
FULL = "spool-full"  # the key of its incident


class RoomWatch:
    """Looks at the room now and then, from `start` to `stop`.

    `lack` says what is wrong, and why, and what to do (`status.lack_of_space`); {} for enough.
    """

    def __init__(
        self, lack: Callable[[], Mapping[str, str]], clock: IReactorTime, incidents: Incidents
    ) -> None:
        self._lack = lack
        self._clock = clock
        self._incidents = incidents
        self._lacked_at = clock.seconds()
        self._again: IDelayedCall | None = None

    def start(self) -> None:
        """Look now, and then again and again."""
        now, lack = self._clock.seconds(), self._lack()
        if lack:
            self._lacked_at = now
            self._incidents.open(Diagnosis(FULL, **lack, who="operator"))
        elif now - self._lacked_at >= OVER_AFTER:
            self._incidents.close(FULL)
        self._again = self._clock.callLater(LOOK_EVERY, self.start)

    def stop(self) -> None:
        """Look no more."""
        if self._again is not None and self._again.active():
            self._again.cancel()
