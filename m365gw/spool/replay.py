"""What a crash left in the commit log is written to files anew, and then there is no log.

Called when the spool is opened, or found again after its disk had failed, by the one who holds its
lock, before `leftovers` gives hidden files their names. Every message of the log that is not
settled is written, whatever there is of it already: what a failed sync left may look whole and not
be on the disk. No such message had a name, so none was sent or removed.
`leftovers` removes those whose clients were refused.

It may be cut off anywhere and is then done again: the log goes last.

Failures: `Unusable` when there is no room for it, or the log cannot be read or understood. Nothing
is lost by that, but mail must wait for an operator.
"""

from __future__ import annotations

from contextlib import suppress

from m365gw.spool import layout, log_format
from m365gw.spool.files import Files
from m365gw.spool.health import Corrupt, Unusable
from m365gw.spool.names import render_id


def replay(files: Files, path: str) -> None:
    """Bring back what is in the log of the spool, if it has one; `path` is said to the operator."""
    try:
        fd = files.open(layout.LOG, write=False)
    except FileNotFoundError:
        return
    try:
        _replay(files, fd)
    except (OSError, Corrupt) as error:
        words = error.strerror if isinstance(error, OSError) else str(error)
        raise Unusable(
            f"Mail that was accepted just before a crash is in {path}/{layout.LOG} and could not "
            f"be written to files of its own: {words}. With too little space, make some, and try "
            "again. When the file is damaged, move it away and keep it, and try again: the "
            "messages in it, a few at most, can be read there."
        ) from error
    finally:
        files.close(fd)
    files.unlink(layout.LOG)
    layout.sync_folder(files, ".")


def _replay(files: Files, fd: int) -> None:
    head = log_format.read_head(files, fd)
    if head is None:
        raise Corrupt("it does not begin as it should")
    for round_ in log_format.unsettled(files, fd, head):
        for number, octets in log_format.messages(files, fd, round_):
            _write(files, layout.hidden_path(render_id(number)), octets)
    layout.sync_folder(files, "incoming/new")


def _write(files: Files, path: str, octets: bytes) -> None:
    with suppress(FileNotFoundError):
        files.unlink(path)
    fd = files.create(path)
    try:
        files.write_all(fd, [octets], 0)
        files.fsync(fd)
    finally:
        files.close(fd)
