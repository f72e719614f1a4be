"""The folders of the spool: made, checked and locked when it is opened.

    VERSION  lock  newest-id  commit-log  state/
    incoming/{tmp,new,cur}  deferred/<0-f>/{tmp,new,cur}  hold/{tmp,new,cur}  corrupt/{tmp,new,cur}

Each folder with tmp, new and cur is a Maildir. Incoming mail rests in `new`, all other in `cur`.
The spool belongs to one user and is closed to all others; one process at a time writes to it.

Failures: `Unusable`, with words for the operator.
"""

from __future__ import annotations

import os
import pwd
import re
import stat

from m365gw.spool.files import Files
from m365gw.spool.health import Unusable
from m365gw.spool.names import SHARDS, Entry, State, render_name, shard_of

VERSION = b"2\n"
LOG = "commit-log"
_STATE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
MAILDIRS = (
    "incoming",
    *(f"deferred/{shard:x}" for shard in range(SHARDS)),
    "hold",
    "corrupt",
)
# What a spool may hold whose first start was cut off before its VERSION was written.
_OURS = {"lock", "state", "newest-id", LOG, f"{LOG}.new", "VERSION.new", "lost+found"} | {
    maildir.partition("/")[0] for maildir in MAILDIRS
}


def maildirs_of(state: State, number: int | None = None) -> list[str]:
    """The Maildirs that hold messages of a state, or that may hold the one with this id."""
    if state is not State.DEFERRED:
        return [state.value]
    shards = range(SHARDS) if number is None else (shard_of(number),)
    return [f"deferred/{shard:x}" for shard in shards]


def folder_of(entry: Entry) -> str:
    """The folder a message rests in."""
    if entry.state is State.INCOMING:
        return "incoming/new"
    if entry.state is State.DEFERRED:
        return f"deferred/{entry.shard:x}/cur"
    return f"{entry.state.value}/cur"


def path_of(entry: Entry) -> str:
    """The file of a message, relative to the spool's folder."""
    return f"{folder_of(entry)}/{render_name(entry)}"


def hidden_path(queue_id: str) -> str:
    """The file of a whole message that is not known to be durable yet.

    It is in the folder of new mail, whose sync makes it durable, and no Maildir reader and no scan
    looks at a name with a dot in front.
    """
    return f"incoming/new/.{queue_id}"


def state_path(name: str) -> str:
    """The file of a small piece of state. Raises ValueError for a name that may be a path."""
    if not _STATE_NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a state file")
    return f"state/{name}"


def is_in_place(entry: Entry, folder: str, name: str) -> bool:
    """Whether a file found is under the name we would give it."""
    flagless = ":" not in name if entry.state is State.INCOMING else name.endswith(":2,")
    return flagless and folder == folder_of(entry)


def make_root(path: str) -> None:
    """Make the spool's own folder. One that is there must be a spool, or empty.

    Anything else is somebody's folder, named by mistake, and is neither closed to others nor used.
    """
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        found = set(os.listdir(path))
        if "VERSION" not in found and (strangers := sorted(found - _OURS)):
            raise Unusable(
                f"{path} is no spool: it holds {strangers[0]}. Let spool_dir in the configuration "
                "name a new or an empty folder."
            ) from None
        return
    parent = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def is_spool(path: str) -> bool:
    """Whether a spool was made there before."""
    return os.path.exists(os.path.join(path, "VERSION"))


def has_log(path: str) -> bool:
    """Whether a spool has a commit log: its service runs, or was not stopped in good order."""
    return os.path.exists(os.path.join(path, LOG))


def check_owner(files: Files, path: str) -> None:
    """The folder must be ours; what rights others have is taken away."""
    found = files.fstat(files.root)
    if found.st_uid != os.geteuid():
        raise Unusable(
            f"The spool {path} belongs to user {_user(found.st_uid)}, and this runs as "
            f"{_user(os.geteuid())}. Run it as {_user(found.st_uid)} (sudo -u), or give the "
            "spool to the user of the service (chown -R)."
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        os.fchmod(files.root, 0o700)


def check_version(files: Files, path: str) -> bool:
    """Whether a spool was made here before; Unusable when by a version we cannot read."""
    version = read(files, "VERSION")
    if version not in (None, VERSION):
        raise Unusable(
            f"The spool {path} has format {version!r}, and this version of m365gw reads "
            f"{VERSION!r}. Use the version that wrote it, at least until it is empty."
        )
    return version is not None


def check_is_spool(files: Files, path: str) -> None:
    """For those who only look: there must be a spool to look at."""
    if not check_version(files, path):
        raise Unusable(
            f"There is no spool in {path}. Look at spool_dir in the configuration; the service "
            "makes the spool when it starts."
        )


def take_lock(files: Files, path: str, hostname: str) -> int:
    """Lock the spool for us. The descriptor returned holds the lock until it is closed."""
    fd = files.open_or_create("lock")
    try:
        files.lock(fd)
    except BlockingIOError:
        holder = files.pread(fd, 300, 0).decode("ascii", "replace").strip()
        files.close(fd)
        raise Unusable(
            f"The spool {path} is in use by another process ({holder}). One at a time may write "
            "to it: stop that one first, or ask it."
        ) from None
    files.write_all(fd, [f"pid {os.getpid()} on {hostname}".encode().ljust(300) + b"\n"], 0)
    return fd


def make_folders(files: Files, path: str) -> None:
    """Make what is missing; durable before the first message is taken."""
    was_made = check_version(files, path)
    made = [folder for folder in _folders() if _make(files, folder)]
    for parent in sorted({os.path.dirname(folder) or "." for folder in made}):
        sync_folder(files, parent)
    if not was_made:
        write_durably(files, "VERSION", VERSION)


def sync_folder(files: Files, folder: str) -> None:
    """Make the names in a folder durable."""
    fd = files.open_folder(folder)
    try:
        files.fsync(fd)
    finally:
        files.close(fd)


def write_durably(files: Files, path: str, data: bytes) -> None:
    """Replace a small file: afterwards it is the new one, and before that the old one."""
    temporary = f"{path}.new"
    fd = files.open_or_create(temporary)
    try:
        files.truncate(fd)
        files.write_all(fd, [data], 0)
        files.fsync(fd)
    finally:
        files.close(fd)
    files.rename(temporary, path)
    sync_folder(files, os.path.dirname(path) or ".")


def read(files: Files, path: str) -> bytes | None:
    """A small file, None when there is none."""
    try:
        fd = files.open(path, write=False)
    except FileNotFoundError:
        return None
    try:
        data = b""
        while piece := files.pread(fd, 65536, len(data)):
            data += piece
        return data
    finally:
        files.close(fd)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _folders() -> list[str]:
    parts = [f"{maildir}/{part}" for maildir in MAILDIRS for part in ("tmp", "new", "cur")]
    return ["state", "deferred", *MAILDIRS, *parts]


def _make(files: Files, folder: str) -> bool:
    try:
        files.make_folder(folder)
    except FileExistsError:
        # What is there must be a folder, and no link to one.
        files.close(files.open_folder(folder))
        return False
    return True
