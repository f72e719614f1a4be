"""Whether a mailbox may start a message now: nothing stops it, and it has budget.

A mailbox that comes back after a stop has mail that waited; that goes oldest first, and takes
turns with what arrives from then on (`spool.turns`). Nothing fails here.
"""

from __future__ import annotations

from attrs import define, field

from m365gw.relay.limits.governor import Governor
from m365gw.relay.limits.shortages import Shortages
from m365gw.relay.stops.mailboxes import Mailboxes
from m365gw.relay.stops.stops import State
from m365gw.spool.names import tag
from m365gw.spool.schedule import Schedule


@define
class Clearance:
    """Gives leave to start, mailbox by mailbox."""

    governor: Governor
    mailboxes: Mailboxes
    schedule: Schedule
    shortages: Shortages
    _stopped: set[str] = field(factory=set)

    def begin(self, mailbox: str, now: float) -> float:
        """When the mailbox, which has mail, may start: by now it has, and takes a connection."""
        start = self.mailboxes.may_send(mailbox, now)
        if start > now:
            self._stopped.add(mailbox)
            return start
        if mailbox in self._stopped and self.mailboxes.standing(mailbox).state is State.READY:
            self._stopped.remove(mailbox)
            self.schedule.come_back(tag(mailbox))
        wait = self.governor.begin(mailbox)
        if wait.seconds:
            self.shortages.met(mailbox, wait, now)
        return now + wait.seconds
