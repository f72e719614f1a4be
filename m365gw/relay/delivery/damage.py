"""Messages whose file cannot be used: told to the operator, kept, and never in the way of others.

*Damaged*: it is not what was accepted, and rests in `corrupt/`. *Unreadable*: the disk does not
give it; it is looked at again less and less often, and never given up by itself, because nobody
could be told, and another disk may still read a copy of it.

Failures: `SpoolError` when even its name cannot be changed.
"""

from __future__ import annotations

import os
from math import ceil

from attrs import evolve

from m365gw.events import EventLog
from m365gw.spool.health import Corrupt, Unreadable
from m365gw.spool.names import Entry, State
from m365gw.spool.spool import Spool


def tell_corrupt(log: EventLog, entry: Entry, damage: Corrupt) -> None:
    """A damaged message has been moved."""
    note = (
        f"the file is damaged and was moved to corrupt/ in the spool: {damage}. Look at it:"
        f" m365gw queue show {entry.queue_id}"
    )
    log.emit("message.corrupt", "qmgr", entry.queue_id, level="error", note=note)


def put_off_unreadable(
    spool: Spool, log: EventLog, entry: Entry, error: Unreadable, wait: float, now: float
) -> Entry:
    """Look at a message again after `wait` seconds. Gives the entry under which it rests."""
    due = ceil(now + wait)
    rests = spool.move(
        entry, evolve(entry, state=State.DEFERRED, due=due, attempts=entry.attempts + 1)
    )
    note = (
        f"its file cannot be read: {os.strerror(error.cause.errno or 0)}. It is looked at again in"
        f" {round(wait)} s. Look at the disk (dmesg, smartctl); restore the file from a backup"
        f" (m365gw queue adopt FILE) or give it up (m365gw queue remove {entry.queue_id})"
    )
    log.emit("message.unreadable", "qmgr", entry.queue_id, level="error", note=note)
    return rests
