"""Looking at queued messages without touching them: for listings, with the service running or not.

Works on a spool opened `read_only`: no lock, no change, not even of what is found damaged. Names
are read as a stream, and a file is opened only when its name does not rule it out. What moves
while one looks may be seen twice or not at all; what is gone by the time it is opened is skipped.

Failures stay with their message: one that cannot be read is given all the same, with `damage`
saying why, because a message nobody can see is a message lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from math import inf
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from m365gw.smtp.envelope import Envelope, Origin
from m365gw.smtp.replies import Refused
from m365gw.smtp.verdict import Outcome
from m365gw.spool.health import Corrupt, Gone, SpoolError
from m365gw.spool.names import Entry, State, tag
from m365gw.spool.outcomes import RecipientRecord
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
    one matching recipient is enough. `mailbox` is an address and `client` a login or an IP address,
    in any letter case. `after` and `before` bound the arrival, in seconds since 1970.
    """

    states: tuple[State, ...] = ()
    mailbox: str = ""
    sender: Pattern | None = None
    recipient: Pattern | None = None
    client: str = ""
    after: float = 0.0
    before: float = inf
    numbers: frozenset[int] | None = None  # of queue ids; None: any
    _tag: int = field(init=False)

    @_tag.default
    def _tag_of_mailbox(self) -> int:
        return tag(self.mailbox)

    def may_take(self, entry: Entry) -> bool:
        """Whether the name alone does not rule the message out."""
        if self.mailbox and entry.mailbox != self._tag:
            return False
        if self.states and entry.state not in self.states:
            return False
        if self.numbers is not None and entry.id not in self.numbers:
            return False
        return self.after <= entry.arrived_at <= self.before

    @property
    def needs_file(self) -> bool:
        """Whether a name is not enough to say that a message is wanted."""
        return bool(self.mailbox or self.client or self.sender or self.recipient)

    def takes(self, queued: Queued) -> bool:
        """Whether the message is wanted. One that cannot be read is, unless its name says no."""
        if queued.damage:
            return True
        if self.mailbox and queued.origin.mailbox.casefold() != self.mailbox.casefold():
            return False
        if self.client and self.client.casefold() not in (
            queued.origin.login.casefold(),
            queued.origin.client.casefold(),
        ):
            return False
        if self.sender is not None and not _matches(self.sender, queued.envelope.sender):
            return False
        addresses = (recipient.address for recipient in queued.envelope.recipients)
        wanted = self.recipient
        return wanted is None or any(_matches(wanted, address) for address in addresses)


def wanted(
    states: tuple[State, ...] = (),
    mailbox: str = "",
    sender: str = "",
    recipient: str = "",
    **more: Any,
) -> Wanted:
    """Wishes given as text, "" for none. Raises Refused for what is no pattern."""
    return Wanted(states, mailbox, _pattern(sender), _pattern(recipient), **more)


def _pattern(text: str) -> Pattern | None:
    if not text:
        return None
    # Here, because the grammar of addresses takes longer to load than a short queue to list.
    from m365gw.smtp.addresses import parse_pattern

    return parse_pattern(text)


def browse(spool: Spool, wishes: Wanted) -> Iterator[Queued]:
    """The wanted messages, one at a time, in the order the disk gives them."""
    for entry in select(spool, wishes):
        queued = look(spool, entry)
        if queued is not None and wishes.takes(queued):
            yield queued


def select(spool: Spool, wishes: Wanted) -> Iterator[Entry]:
    """The entries of messages that may be wanted, by their names alone."""
    if wishes.numbers is not None:
        found: Iterable[Entry] = spool.find_all(wishes.numbers).values()
    else:
        found = spool.entries(*wishes.states)
    return filter(wishes.may_take, found)


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
