"""A spool with as many deferred messages as one likes, made in bulk.

Written by the room's own record writer under the room's own names, so that nothing about them is
pretended; only that nothing is synced, which would take hours.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from zlib import crc32

from m365gw.smtp.envelope import Envelope, Origin, Recipient
from m365gw.smtp.replies import Reply
from m365gw.smtp.verdict import Outcome
from m365gw.spool import layout
from m365gw.spool.names import EPOCH, Entry, State, render_id, tag
from m365gw.spool.outcomes import changing_length, outcome_span, render_outcome
from m365gw.spool.record import Composer
from m365gw.spool.spool import Spool

OLDEST = 3 * 86400  # seconds since the first of them arrived
LATEST = 4000  # seconds until the last of them is due: maximal_backoff_time
DUE_NOW = 0.002  # share of them that is due at once
CLIENTS = 200  # hosts they came from

MESSAGE = (
    b"Received: from erp (erp.example.com [10.1.0.7])\r\n\tby gateway.example.com with ESMTP\r\n"
    b"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <crowd@example.com>\r\n"
    b"From: <relay@contoso.example>\r\nTo: <sink@example.net>\r\nSubject: one of very many\r\n\r\n"
    + b"Nothing in this line matters.\r\n"
    * 5
)
ANSWER = Reply(451, "4.7.500", "Server busy. Please try again later from [10.1.0.7].")


def crowd(folder: Path, messages: int, mailboxes: Sequence[str]) -> None:
    """Make a spool there with so many deferred messages."""
    Spool.open(str(folder), hostname="bench").close()
    chance, now = Random(4), time.time()
    step = OLDEST / messages
    senders = [Envelope(f"erp{n}@contoso.example", _recipient(n)) for n in range(CLIENTS)]
    root = os.open(folder, os.O_RDONLY)
    for place in range(messages):
        arrived = int((now - OLDEST + (place + chance.random()) * step - EPOCH) * 1_000_000)
        mailbox = mailboxes[place % len(mailboxes)]
        client = chance.randrange(CLIENTS)
        wait = 0 if chance.random() < DUE_NOW else chance.randrange(60, LATEST)
        entry = Entry(
            arrived << 13,
            State.DEFERRED,
            len(MESSAGE),
            int(now) + wait,
            1 + place % 40,
            tag(mailbox),
            tag(f"10.1.0.{client}"),
        )
        origin = Origin(f"10.1.0.{client}", 40000, "erp", "ESMTP", listener="b", mailbox=mailbox)
        _write(root, entry, senders[client], origin, now - LATEST)
    os.close(root)


def some_that_stay(folder: Path, number: int) -> list[str]:
    """Queue ids of so many messages, from anywhere, that are not due for the next ten minutes."""
    spool = Spool.open(str(folder), hostname="", read_only=True)
    late = time.time() + 600
    ids = [entry.id for entry in spool.entries(State.DEFERRED) if entry.due > late]
    spool.close()
    return [render_id(one) for one in Random(5).sample(ids, number)]


def _recipient(number: int) -> tuple[Recipient, ...]:
    return (Recipient(f"person{number}@example.net"),)


_CRC = crc32(MESSAGE)


def _write(root: int, entry: Entry, envelope: Envelope, origin: Origin, tried_at: float) -> None:
    block = bytearray(Composer(envelope, origin).compose(entry.id, entry.size, _CRC))
    line, changing = outcome_span(0), len(block) - changing_length(1)
    block[changing + line.start : changing + line.stop] = render_outcome(
        Outcome.PENDING, ANSWER, tried_at
    )
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    fd = os.open(layout.path_of(entry), flags, 0o600, dir_fd=root)
    os.writev(fd, [block, MESSAGE])
    os.close(fd)
