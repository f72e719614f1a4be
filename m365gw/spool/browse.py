"""Looking at queued messages without touching them: for listings, with the service running or not.

Works on a spool opened `read_only`: no lock, no change, not even of what is found damaged. Names
are read as a stream, and a file is opened only when its name does not rule it out. What moves
while one looks may be seen twice or not at all; what is gone by the time it is opened is skipped.

Failures stay with their message: one that cannot be read is given all the same, with `damage`
saying why, because a message nobody can see is a message lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from attrs import field, frozen

from m365gw.smtp.envelope import Envelope, Origin
from m365gw.smtp.replies import Refused
from m365gw.smtp.verdict import Outcome
from m365gw.spool.health import Corrupt, Gone, SpoolError
from m365gw.spool.names import Entry, State, tag
from m365gw.spool.record import RecipientRecord
from m365gw.spool.spool import Spool

if TYPE_CHECKING:
    from m365gw.smtp.addresses import Pattern

OPEN = frozenset({Outcome.PENDING, Outcome.UNCERTAIN})


@frozen
class Queued:
    """One message as it was when it was looked at. Without an envelope when `damage` says why."""

    entry: Entry
    envelope: Envelope = Envelope("", ())
    origin: Origin = Origin("")
    recipients: tuple[RecipientRecord, ...] = ()
    reason: str = ""  # why it is held, or ""
    damage: str = ""  # why it cannot be read, or ""
    header: bytes = b""  # of the message, as far as it was asked for

    @property
    def open_recipients(self) -> tuple[RecipientRecord, ...]:
        """Those whose fate is not settled; when all are settled, those that failed.

        A message of which nobody waits any more and that is still here is kept for its failures:
        the report could not be sent.
        """
        waiting = tuple(one for one in self.recipients if one.outcome in OPEN)
        return waiting or tuple(one for one in self.recipients if one.outcome is Outcome.FAILED)


@frozen
class Wanted:
    """Which messages to show. What is left empty does not matter.

    `sender` and `recipient` are patterns of the rules ("user@example.com", "*@example.com", "<>");
    one matching recipient is enough. `mailbox` is an address, in any letter case.
    """

    states: tuple[State, ...] = ()
    mailbox: str = ""
    sender: Pattern | None = None
    recipient: Pattern | None = None
    _tag: int = field(init=False)

    @_tag.default
    def _tag_of_mailbox(self) -> int:
        return tag(self.mailbox)

    def may_take(self, entry: Entry) -> bool:
        """Whether the name alone does not rule the message out."""
        return not self.mailbox or entry.mailbox == self._tag

    def takes(self, queued: Queued) -> bool:
        """Whether the message is wanted. One that cannot be read is, unless its name says no."""
        if queued.damage:
            return True
        if self.mailbox and queued.origin.mailbox.casefold() != self.mailbox.casefold():
            return False
        if self.sender is not None and not _matches(self.sender, queued.envelope.sender):
            return False
        addresses = (recipient.address for recipient in queued.envelope.recipients)
        wanted = self.recipient
        return wanted is None or any(_matches(wanted, address) for address in addresses)


def wanted(
    states: tuple[State, ...] = (), mailbox: str = "", sender: str = "", recipient: str = ""
) -> Wanted:
    """Wishes given as text, "" for none. Raises Refused for what is no pattern."""
    return Wanted(states, mailbox, _pattern(sender), _pattern(recipient))


def _pattern(text: str) -> Pattern | None:
    if not text:
        return None
    # Here, because the grammar of addresses takes longer to load than a short queue to list.
    from m365gw.smtp.addresses import parse_pattern

    return parse_pattern(text)


def browse(spool: Spool, wishes: Wanted) -> Iterator[Queued]:
    """The wanted messages, one at a time, in the order the disk gives them."""
    for entry in spool.entries(*wishes.states):
        if wishes.may_take(entry):
            queued = look(spool, entry)
            if queued is not None and wishes.takes(queued):
                yield queued


def look(spool: Spool, entry: Entry, header_limit: int = 0) -> Queued | None:
    """One message with at most `header_limit` octets of its header; None when it is gone."""
    try:
        message = spool.claim(entry)
        try:
            header = message.header(header_limit) if header_limit else b""
            return Queued(
                entry,
                message.envelope,
                message.origin,
                message.recipients,
                message.reason,
                header=header,
            )
        finally:
            message.close()
    except Gone:
        return None
    except Corrupt as error:
        return Queued(entry, damage=str(error))
    except SpoolError as error:
        return Queued(entry, damage=os.strerror(error.cause.errno or 0))


def _matches(pattern: Pattern, address: str) -> bool:
    try:
        return pattern.matches(address)
    except Refused:  # no address by today's grammar; it was by that of the day it came
        return False
