"""What stops mailboxes, as it lies in the spool from one process to the next.

The running service writes it when it changed, and reads it at its start. While none runs, whoever
holds the spool's lock may change it in between, so that the next start begins with that.

Failures: `SpoolError`; `Unreadable` for a file that makes no sense, and then nothing was taken.
"""

from __future__ import annotations

import json

from m365gw.relay.stops.mailboxes import Mailboxes
from m365gw.spool.spool import Spool

STATE_FILE = "mailboxes.json"


class Unreadable(Exception):
    """The file makes no sense."""


def restore(spool: Spool, mailboxes: Mailboxes, now: float) -> None:
    """Go on with what stopped them when it was written. Without a file all are ready."""
    data = spool.read_state(STATE_FILE)
    if data is None:
        return
    try:
        mailboxes.restore(json.loads(data), now)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise Unreadable(STATE_FILE) from error


def octets(mailboxes: Mailboxes, now: float) -> bytes:
    """What `write` writes; made apart, as a file is written in another thread."""
    return json.dumps(mailboxes.state(now)).encode("ascii")


def write(spool: Spool, data: bytes) -> None:
    """BLOCKING. Keep it, durably."""
    spool.write_state(STATE_FILE, data)
