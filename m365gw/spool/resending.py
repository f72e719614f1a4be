"""Sending a message once more to those recipients for whom it has failed, and to nobody else.

It becomes a message of its own, with a queue id of its own, held until whoever asked lets it go:
the old one stays as it is, with what became of each recipient. So a crash in between leaves both
whole, and nobody who has it gets it twice.

Failures: `NothingFailed` when there is nobody to send it to; `Gone`, `Corrupt` and `SpoolError`
when it cannot be read; `NotAdopted` when the copy cannot be written.
"""

from __future__ import annotations

from contextlib import closing

from attrs import evolve

from m365gw.smtp.verdict import Outcome
from m365gw.spool.adoption import Found, NotAdopted, adopt
from m365gw.spool.files import Files
from m365gw.spool.names import Entry
from m365gw.spool.outcomes import RecipientRecord
from m365gw.spool.spool import Spool


class NothingFailed(Exception):
    """Every recipient has the message, or may still get it."""


def failed(recipients: tuple[RecipientRecord, ...]) -> tuple[RecipientRecord, ...]:
    """Those for whom a message has failed for good."""
    return tuple(one for one in recipients if one.outcome is Outcome.FAILED)


def copy_for_failed(spool: Spool, entry: Entry) -> Entry:
    """BLOCKING. Put a copy for them into `hold`. `spool` may be opened to be looked at only."""
    message = spool.claim(entry)
    with closing(message):
        wanted = tuple(one.recipient for one in failed(message.recipients))
        if not wanted:
            raise NothingFailed(entry.queue_id)
        octets = message.read(0, message.size)
        envelope = evolve(message.envelope, recipients=wanted)
        origin = message.origin
    reason = f"to be sent again to those for whom {entry.queue_id} has failed"
    try:
        files = Files(spool.path)
        try:
            return adopt(spool, files, Found(octets, envelope, origin), reason)
        finally:
            files.close(files.root)
    except OSError as error:
        raise NotAdopted(f"the copy could not be written: {error.strerror}") from None
