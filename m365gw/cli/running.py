"""What only the running service knows of the queue: what it delivers, and which mailboxes wait.

Asked for listings, which work without it: when the service cannot be asked nothing is known, and
nothing is said about that.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from attrs import field, frozen

from m365gw.cli.control import Control, ControlFailed, NotAllowed, NotRunning
from m365gw.spool.browse import Queued
from m365gw.spool.names import State

_PATIENCE = 5.0  # seconds: a listing does not wait for a service that hangs


@frozen
class Running:
    """What the service says at one moment.

    `waits`: why a mailbox may not send now, "" when it may, by its address in small letters. Those
    in `stopped` may not send at all until something is mended; the others have to keep a pace.
    """

    is_known: bool = False  # whether the service could be asked
    at: float = 0.0  # seconds since 1970
    active: frozenset[str] = frozenset()  # queue ids
    waits: Mapping[str, str] = field(factory=dict)
    stopped: frozenset[str] = frozenset()

    def state_of(self, queued: Queued) -> str:
        """The state of a message, as it is shown."""
        is_active = queued.entry.queue_id in self.active
        return "active" if is_active else queued.entry.state.value

    def why_waits(self, queued: Queued) -> str:
        """Why the mailbox of a message that waits may not send it; "" when it may.

        That it has to keep a pace is no reason for a message whose time has not come.
        """
        entry, mailbox = queued.entry, queued.origin.mailbox
        if entry.state not in (State.INCOMING, State.DEFERRED) or entry.is_expired:
            return ""
        if not self.is_known or queued.damage or entry.queue_id in self.active:
            return ""
        key = mailbox.casefold()
        if key not in self.waits:
            return f"{mailbox or 'its mailbox'} is not configured: its mail waits until it is"
        return self.waits[key] if entry.due <= self.at or key in self.stopped else ""


def running_now(control_socket: str) -> Running:
    """What the service says now; nothing when it cannot be asked."""
    control = Control(control_socket, _PATIENCE)
    try:
        active = frozenset(control.get("/queue/active")["active"])
        told = control.get("/mailboxes")
    except (NotRunning, NotAllowed, ControlFailed):
        return Running()
    return Running(
        True,
        time.time(),
        active,
        {one["address"].casefold(): one["why"] for one in told},
        frozenset(one["address"].casefold() for one in told if one["diagnosis"] is not None),
    )
