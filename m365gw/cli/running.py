"""What only the running service knows of the queue: what it delivers, and which mailboxes wait.

Asked for listings, which work without it: when the service cannot be asked nothing is known, and
nothing is said about that.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from m365gw.cli.control import Control, ControlFailed, NotAllowed, NotRunning
from m365gw.spool.browse import Queued
from m365gw.spool.names import State

_PATIENCE = 5.0  # seconds: a listing does not wait for a service that hangs


@frozen
class Running:
    """What the service says at one moment.

    `waits`: why a mailbox may not send, by its address in small letters.
    """

    active: frozenset[str] = frozenset()  # queue ids
    waits: Mapping[str, str] = field(factory=dict)

    def state_of(self, queued: Queued) -> str:
        """The state of a message, as it is shown."""
        is_active = queued.entry.queue_id in self.active
        return "active" if is_active else queued.entry.state.value

    def why_waits(self, queued: Queued) -> str:
        """Why the mailbox of a message that waits may not send now; "" when it may."""
        entry = queued.entry
        if entry.state not in (State.INCOMING, State.DEFERRED) or entry.is_expired:
            return ""
        if entry.queue_id in self.active:
            return ""
        return self.waits.get(queued.origin.mailbox.casefold(), "")


def running_now(control_socket: str) -> Running:
    """What the service says now; nothing when it cannot be asked."""
    control = Control(control_socket, _PATIENCE)
    try:
        active = frozenset(control.get("/queue/active")["active"])
        told = control.get("/mailboxes")
    except (NotRunning, NotAllowed, ControlFailed):
        return Running()
    return Running(active, {one["address"].casefold(): one["why"] for one in told if one["why"]})
