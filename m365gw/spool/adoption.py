"""Taking in a message that lies somewhere else: a stray, a mended one, one of another spool.

It is written to `hold`, whole and durable under its own name, before anybody lets it go on; whoever
called then removes the file it came from, and releases it. A crash between these steps leaves it
held with a reason that says where it came from: nothing is lost, and nothing is sent twice.

A file of a spool keeps its queue id, its envelope, and what became of each recipient. Any other
message gets a new id. No lock is needed: a file with a name nobody else gives is put into a
Maildir, as any mail program may.

Failures: `NotAdopted`, in words; the spool is as it was.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Sequence
from zlib import crc32

from attrs import frozen

from m365gw.smtp.envelope import Envelope, Origin
from m365gw.smtp.verdict import Outcome
from m365gw.spool import layout, outcomes, record
from m365gw.spool.files import Files
from m365gw.spool.health import Corrupt, Gone
from m365gw.spool.names import Entry, QueueIds, State, parse_name, render_id, tag
from m365gw.spool.record import Composer
from m365gw.spool.spool import Spool

COMMAND = 31  # the "worker" in queue ids that commands give, so that no service gives the same

_LINE_END = re.compile(rb"\r\n|\n")


class NotAdopted(Exception):
    """The file was not taken in. The text says why, and what to do."""


@frozen
class Found:
    """A message as a file holds it.

    `number` is that of its queue id and `changing` what became of each recipient, as a block says
    it; 0 and b"" when it comes from no spool.
    """

    octets: bytes
    envelope: Envelope
    origin: Origin
    number: int = 0
    attempts: int = 0
    changing: bytes = b""


def read_spool_file(data: bytes, name: str, *, as_it_is: bool = False) -> Found | None:
    """The message in a file of a spool; None when it is none. Raises `NotAdopted`.

    `as_it_is`: whoever asks has looked at a damaged message, and wants it sent so.
    """
    try:
        length = record.block_length(data)
    except Corrupt:
        return None
    try:
        block = record.parse(data[:length])
    except Corrupt as damage:
        raise NotAdopted(
            f"{damage}. Say who it is from and to: --sender, --recipient and --mailbox"
        ) from None
    octets = data[length:]
    is_whole = len(octets) == block.size and crc32(octets) == block.message_crc
    if not (is_whole or as_it_is):
        raise NotAdopted(
            "the message in it is damaged. Look at it; --as-it-is takes it in as it is now"
        )
    known = parse_name(os.path.basename(name), State.HOLD)
    attempts = known.attempts if known is not None and known.id == block.id else 0
    changing = data[block.changing : length]
    _check_is_open(block.envelope, changing)
    return Found(octets, block.envelope, block.origin, block.id, attempts, changing)


def read_message(data: bytes, envelope: Envelope, origin: Origin) -> Found:
    """The message of any file, with an envelope given by hand. Raises `NotAdopted`."""
    with contextlib.suppress(Corrupt):
        data = data[record.block_length(data) :]
    octets = _LINE_END.sub(b"\r\n", data)
    if b"\0" in octets or b"\r" in octets.replace(b"\r\n", b""):
        raise NotAdopted("it holds a NUL or a bare CR, and so is no message that can be sent")
    if not octets.strip():
        raise NotAdopted("it is empty")
    return Found(octets, envelope, origin)


def adopt(spool: Spool, files: Files, found: Found, reason: str) -> Entry:
    """BLOCKING. Put a message into `hold` for this reason. Raises `NotAdopted` and OSError.

    `spool` may be opened to be looked at only; `files` are those of its folder.

    One that is held there for the same reason was put there before, by a call that was broken off:
    its entry is given. Any other message with its queue id is in the way, unless it is damaged.
    """
    told = outcomes.render_reason(reason)
    known = spool.find(render_id(found.number)) if found.number else None
    if known is not None and known.state is not State.CORRUPT:
        if known.state is State.HOLD and _reason(spool, known) == outcomes.parse_reason(told):
            return known
        raise NotAdopted(f"it is in the queue already: {known.queue_id}, {known.state.value}")
    number = found.number or QueueIds(time.time, COMMAND).next()
    origin = found.origin
    entry = Entry(
        number,
        State.HOLD,
        len(found.octets),
        0,
        found.attempts,
        tag(origin.mailbox),
        tag(origin.source),
    )
    recipients = len(found.envelope.recipients)
    block = Composer(found.envelope, origin).compose(number, entry.size, crc32(found.octets))
    start = len(block) - outcomes.changing_length(recipients)
    changing, span = found.changing or block[start:], outcomes.reason_span(recipients)
    marked = changing[: span.start] + told + changing[span.stop :]
    _put(files, entry, [block[:start], marked, found.octets])
    return entry


def _put(files: Files, entry: Entry, pieces: Sequence[bytes]) -> None:
    temporary = f"incoming/tmp/{entry.queue_id}"
    fd = files.create(temporary)
    try:
        try:
            files.own(fd)
            files.write_all(fd, pieces, 0)
            files.fsync(fd)
        finally:
            files.close(fd)
        files.rename(temporary, layout.path_of(entry))
    except OSError:
        with contextlib.suppress(OSError):
            files.unlink(temporary)
        raise
    layout.sync_folder(files, layout.folder_of(entry))


def _reason(spool: Spool, entry: Entry) -> str:
    try:
        message = spool.claim(entry)
    except (Gone, Corrupt):
        return ""
    with contextlib.closing(message):
        return message.reason


def _check_is_open(envelope: Envelope, changing: bytes) -> None:
    """There must be somebody left to send it to, or to be told of."""
    try:
        found = [
            outcomes.parse_outcome(changing[outcomes.outcome_span(place)])[0]
            for place in range(len(envelope.recipients))
        ]
    except Corrupt as damage:
        raise NotAdopted(
            f"{damage}. Say who shall get it: --sender, --recipient and --mailbox"
        ) from None
    if all(outcome is Outcome.DELIVERED for outcome in found):
        raise NotAdopted("all its recipients have it")
