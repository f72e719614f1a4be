"""A spool whose disk failed: tried again and again until it can be trusted, and told of once.

The gate of the spool (`spool.health`) is closed meanwhile. A disk that fails the trial is let go
of, so that an operator can unmount and repair it, and is looked for again at its path; the budgets
that lie on it (`spool.ledger`) go with it.

Failures: none leave here; they are logged, each once, and the trial goes on.
"""

from __future__ import annotations

from contextlib import suppress

from attrs import define
from twisted.internet.interfaces import IReactorTime

from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.relay.threads import Calls
from m365gw.spool.health import SpoolError
from m365gw.spool.ledger import Ledger
from m365gw.spool.spool import Spool

PROBE_EVERY = 5.0  # seconds between trials
FAILED = "spool-failed"  # the key of its incident


@define(kw_only=True)
class DiskWatch:
    """Watches over the disk of one spool."""

    spool: Spool
    ledger: Ledger
    clock: IReactorTime
    disk: Calls
    log: EventLog
    incidents: Incidents
    _probed_at: float = 0.0
    _obstacle: str = ""  # why the last trial failed, as was said

    async def look(self) -> bool:
        """To be called each second while the gate is closed. True: it has opened."""
        now = self.clock.seconds()
        self._open_incident()
        if abs(now - self._probed_at) < PROBE_EVERY:
            return False
        self._probed_at = now
        is_good = await self.disk.call(self._probe)
        self._say_obstacle()
        if is_good:
            self.incidents.close(FAILED)
        return is_good

    def _probe(self) -> bool:
        """BLOCKING. Try the disk; the ledger is let go of, and found again, with the spool."""
        is_good = self.spool.grip.probe()
        with suppress(SpoolError):
            if self.spool.grip.is_held:
                self.ledger.take_again()
            else:
                self.ledger.let_go()
        return is_good

    def _say_obstacle(self) -> None:
        if self.spool.grip.obstacle != self._obstacle:
            self._obstacle = self.spool.grip.obstacle
            note = f"the disk of the spool was tried again: {self._obstacle or 'it works'}"
            level = "error" if self._obstacle else "warn"
            self.log.emit("spool.tried", "qmgr", level=level, note=note)

    def _open_incident(self) -> None:
        """One incident while the gate is closed, whatever else fails meanwhile."""
        if self.incidents.is_open(FAILED):
            return
        told = Diagnosis(
            FAILED,
            f"The disk of the spool {self.spool.path} failed; no mail is taken or sent.",
            f"The system says: {self.spool.health.cause}.",
            "Look at the disk (dmesg, smartctl, df -h). It may be unmounted, repaired and"
            " mounted again at the same place while this runs. Mail goes on by itself a minute"
            " after the disk works again.",
            "operator",
        )
        self.incidents.open(told, level="error")
