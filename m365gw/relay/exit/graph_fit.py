"""Whether Microsoft Graph can carry a transaction, and what it is then given.

Graph has no envelope. It sends to whom To, Cc and Bcc name, so everybody named there must be a
recipient of this very transaction; recipients who are not named there are added as Bcc, which
Exchange takes away again. The return path is the address in From, or the mailbox, so the envelope
sender must be one of these. But for that Bcc field the message stays octet for octet.

Addresses are read as `smtp.repair.authors` reads them: whatever one reader could take for an
address counts, and what cannot be understood for sure is an obstacle. Failures: `Unfit` with the
obstacle; what reading the message raises passes through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from attrs import field, frozen

from m365gw.microsoft.graph_obstacles import (
    INTERNATIONAL,
    NULL_SENDER,
    OTHER_RECIPIENTS,
    OTHER_SENDER,
    TOO_LARGE,
    UNREADABLE_RECIPIENTS,
)
from m365gw.microsoft.reactions import Reaction
from m365gw.relay.exit.transaction import Transaction
from m365gw.smtp.repair.authors import authors, may_be_address
from m365gw.smtp.repair.header_fields import HeaderFields

HEADER_LIMIT: Final = 262144  # octets of header that are looked at
RECIPIENT_FIELDS: Final = ("to", "cc", "bcc")
_PLAIN = re.compile(r"[!#-'*+/-9=?A-Z^-~.-]+@[\w.-]+")  # no quotes that a reader could get wrong
RESENT_FIELDS: Final = ("resent-to", "resent-cc", "resent-bcc")


class Unfit(Exception):
    """Graph cannot carry it. `obstacle` says why, and what is to be done."""

    def __init__(self, obstacle: Reaction) -> None:
        super().__init__(obstacle.diagnosis.key)
        self.obstacle = obstacle


@frozen
class Carriage:
    """A message as Graph gets it: `header`, then what lies behind `replaced` octets of it."""

    header: bytes = field(repr=False)
    replaced: int
    size: int  # octets of all of it

    @property
    def request_size(self) -> int:
        """Octets of the request: base64 makes four of three."""
        return (self.size + 2) // 3 * 4


def fitted(transaction: Transaction, mailbox: str, request_limit: int) -> Carriage:
    """The transaction as Graph carries it for this mailbox. Raises `Unfit`."""
    recipients = {one.address.casefold(): one.address for _, one in transaction.recipients}
    if not transaction.sender:
        raise Unfit(NULL_SENDER)
    if not all(each.isascii() for each in (transaction.sender, *recipients)):
        raise Unfit(INTERNATIONAL)
    octets = transaction.read(0, min(HEADER_LIMIT, transaction.size))
    header, length = HeaderFields.parse(octets)
    # Where a line that is no field breaks it off, some readers look behind that for recipients.
    is_whole = bool(header.blank_line) or length == transaction.size < HEADER_LIMIT
    if not (is_whole and header.fields) or any(map(header.__contains__, RESENT_FIELDS)):
        raise Unfit(UNREADABLE_RECIPIENTS)
    named = set(_addresses(header, RECIPIENT_FIELDS))
    if not named <= set(recipients):
        raise Unfit(OTHER_RECIPIENTS)
    if transaction.sender.casefold() not in {mailbox.casefold(), *_addresses(header, ("from",))}:
        raise Unfit(OTHER_SENDER)
    unnamed = [address for folded, address in recipients.items() if folded not in named]
    if not all(map(_PLAIN.fullmatch, unnamed)):
        raise Unfit(UNREADABLE_RECIPIENTS)
    carriage = _carriage(header, length, transaction.size, unnamed)
    if carriage.request_size > request_limit:
        raise Unfit(TOO_LARGE)
    return carriage


def _addresses(header: HeaderFields, names: Iterable[str]) -> Iterator[str]:
    """The addresses in these fields, in lower case."""
    for name in names:
        for one in header.all(name):
            found = authors(one.value.decode("utf-8", "surrogateescape"))
            # A name alone may be an address to those who decode or unquote it first.
            is_hidden = not found.addresses and may_be_address(found.name)
            if is_hidden or not found.is_readable:
                raise Unfit(UNREADABLE_RECIPIENTS)
            if not all(map(str.isascii, found.addresses)):
                raise Unfit(INTERNATIONAL)
            yield from map(str.casefold, found.addresses)


def _carriage(header: HeaderFields, length: int, size: int, unnamed: list[str]) -> Carriage:
    """The message with one Bcc field that names these recipients too; as it is without any."""
    if not unnamed:
        return Carriage(header.octets(), length, size)
    listed = [*_as_written(header), *(f"<{address}>".encode("ascii") for address in unnamed)]
    others = b"".join(one.octets for one in header.fields if one.name != "bcc")
    changed = b"Bcc: %b\r\n%b%b" % (b",\r\n ".join(listed), others, header.blank_line)
    return Carriage(changed, length, size - length + len(changed))


def _as_written(header: HeaderFields) -> list[bytes]:
    """What stands in the Bcc fields that are there already."""
    return [b"<%b>" % address.encode("ascii") for address in _addresses(header, ("bcc",))]
