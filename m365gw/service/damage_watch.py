"""Damaged messages in the spool are an incident, until somebody has looked at them.

They rest in `corrupt/`, where nothing of ours deletes them (`relay/delivery/damage`). The incident
is one, however many they are, and over when none is left there.
"""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from m365gw.incidents import Incidents
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.spool.health import SpoolError
from m365gw.spool.names import State
from m365gw.spool.spool import Spool

LOOK_EVERY = 60.0  # seconds

DAMAGED = Diagnosis(
    "messages-damaged",
    "Messages in the spool are damaged, and are not delivered.",
    "Their files are not what was accepted: the disk, or somebody, changed them.",
    "See them (m365gw queue list --state corrupt), and look at the disk (dmesg, smartctl). Restore"
    " a message from a backup (m365gw queue adopt FILE) or ask its sender for it, then remove it"
    " (m365gw queue remove ID).",
    "operator",
)


class DamageWatch:
    """Looks for damaged messages now and then, from `start` to `stop`."""

    def __init__(self, spool: Spool, clock: IReactorTime, incidents: Incidents) -> None:
        self._spool = spool
        self._clock = clock
        self._incidents = incidents
        self._again: IDelayedCall | None = None

    def start(self) -> None:
        """Look now, and then again and again."""
        self._again = self._clock.callLater(LOOK_EVERY, self.start)
        try:
            is_damaged = next(iter(self._spool.entries(State.CORRUPT)), None) is not None
        except SpoolError:
            return  # what is wrong then is told otherwise
        if is_damaged:
            self._incidents.open(DAMAGED, level="error")
        else:
            self._incidents.close(DAMAGED.key)

    def stop(self) -> None:
        """Look no more."""
        if self._again is not None and self._again.active():
            self._again.cancel()
