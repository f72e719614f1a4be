"""What a crash left of mail that was coming in: swept away, or taken up.

A draft in `incoming/tmp` was promised to nobody. A hidden file in `incoming/new` is a message that
was being made durable: it may have had its 250 although it has not its own name yet. If it is
whole it gets that name now. If it is not, it was never acknowledged: what has all its octets but
not the right ones goes to `corrupt/` to be looked at, anything less is no message.

Called when the spool is opened, or found again after its disk had failed, by the one who holds its
lock. Then it is known of some hidden files that they were refused: their clients were told 451 and
have them still. A file whose beginning cannot be read stays as it is for the next start.

Failures: OSError when a folder cannot be read or changed.
"""

from __future__ import annotations

from contextlib import suppress

from m365gw.spool import layout
from m365gw.spool.files import Files
from m365gw.spool.health import Corrupt, Health, SpoolError
from m365gw.spool.message import Message, read_block
from m365gw.spool.names import Entry, State, render_id, tag

PIECE = 1048576  # octets read at once


def sweep(files: Files) -> None:
    """Remove drafts that nobody writes any more."""
    for name in list(files.names("incoming/tmp")):
        files.unlink(f"incoming/tmp/{name}")


def take_up(files: Files, health: Health) -> None:
    """Give whole messages the names they were about to get; remove what is none, or was refused."""
    for number in list(health.refused):
        with suppress(FileNotFoundError):
            files.unlink(layout.hidden_path(render_id(number)))
        health.refused.discard(number)
    for name in list(files.names("incoming/new")):
        if name.startswith("."):
            _take_up(files, health, f"incoming/new/{name}")


def _take_up(files: Files, health: Health, path: str) -> None:
    fd = files.open(path, write=False)
    try:
        entry = _entry(files, health, fd)
    except OSError:
        return
    finally:
        files.close(fd)
    if entry is None:
        files.unlink(path)
    else:
        files.rename(path, layout.path_of(entry))


def _entry(files: Files, health: Health, fd: int) -> Entry | None:
    """The entry of a message as it arrived, in `corrupt` when damaged; None for no message."""
    try:
        block, changing = read_block(files, fd)
    except Corrupt:
        return None
    mailbox, source = tag(block.origin.mailbox), tag(block.origin.source)
    entry = Entry(block.id, State.INCOMING, block.size, 0, 0, mailbox, source)
    try:
        message = Message(files, health, fd, entry, block, changing)
        for offset in range(0, message.size, PIECE):
            message.read(offset, PIECE)
    except Corrupt:
        return Entry(block.id, State.CORRUPT, block.size, 0, 0, mailbox, source)
    except SpoolError:
        return entry  # it may have had its 250; who claims it says that it cannot be read
    return entry
