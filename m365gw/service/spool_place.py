"""Whether the spool is where it was: a disk that was not mounted looks like a folder without one.

Mail taken in there would lie below the mount point, and vanish when the disk is mounted. So the
state folder, which lies elsewhere, remembers where a spool has been made.

Failures: `Unusable`, in words for the operator; OSError when the note cannot be written.
"""

from __future__ import annotations

from pathlib import Path

from m365gw.directory.private_files import write_private
from m365gw.spool.health import Unusable
from m365gw.spool.layout import is_spool

NOTE = "spool-place"


def check(state_dir: str, spool_dir: str) -> None:
    """Before the spool is opened, which would make it anew."""
    note = Path(state_dir, NOTE)
    if not is_spool(spool_dir) and note.exists() and note.read_text() == _place(spool_dir):
        raise Unusable(
            f"There was a spool in {spool_dir}, and there is none now. Is its disk mounted? If it"
            f" was removed on purpose, delete {note} and start again."
        )


def remember(state_dir: str, spool_dir: str) -> None:
    """Once it is open."""
    note = Path(state_dir, NOTE)
    if not note.exists() or note.read_text() != _place(spool_dir):
        write_private(note, _place(spool_dir).encode())


def _place(spool_dir: str) -> str:
    return str(Path(spool_dir).resolve())
