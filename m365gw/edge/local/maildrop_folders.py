"""The folders of the maildrop: made, and checked before anything in them is trusted.

The maildrop itself has mode 3733 and the service's own group: any other mode would let users look
at, or remove, the mail of their neighbours. What is inside for the service alone must be its own.

Failures: `MaildropUnusable`, in words, and OSError.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
from typing import Final

MODE: Final = 0o3733

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class MaildropUnusable(Exception):
    """The maildrop cannot be used; the text says why, and what to do."""


def open_or_make(path: str) -> int:
    """The folder, checked: ours, and closed to the eyes of others. Raises OSError."""
    is_new = not os.path.lexists(path)
    if is_new:
        os.mkdir(path, 0o700)
    fd = os.open(path, _FOLDER)
    try:
        found = os.fstat(fd)
        if found.st_uid != os.geteuid():
            raise MaildropUnusable(
                f"The maildrop {path} belongs to another user. Give it to the user of the "
                f"service: chown {user()}:{group()} {path}; chmod 3733 {path}"
            )
        if is_new:
            os.fchmod(fd, MODE)
        elif stat.S_IMODE(found.st_mode) != MODE:
            raise MaildropUnusable(
                f"The maildrop {path} has mode {stat.S_IMODE(found.st_mode):o}. With any other "
                "than 3733 users could look at, or remove, the mail of their neighbours, or the "
                f"service could not read it: chmod 3733 {path}"
            )
        if os.geteuid() and found.st_gid not in (os.getegid(), *os.getgroups()):
            raise MaildropUnusable(
                f"The maildrop {path} belongs to a group that the service is not in, so it could "
                f"not read what lies there: chgrp {group()} {path}; chmod 3733 {path}"
            )
        return fd
    except BaseException:
        os.close(fd)
        raise


def own_folder(root: int, name: str) -> int:
    """A folder inside the maildrop that is nobody's but ours. Raises OSError."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=root)
    fd = os.open(name, _FOLDER, dir_fd=root)
    found = os.fstat(fd)
    if found.st_uid != os.geteuid():
        os.close(fd)
        raise MaildropUnusable(
            f'"{name}" in the maildrop was put there by user {found.st_uid}, and is the '
            "service's. Look at what it is, and take it away"
        )
    os.fchmod(fd, 0o700)
    return fd


def user() -> str:
    """The name of the user this process runs as, or its number."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def group() -> str:
    """The name of its group, or its number."""
    try:
        return grp.getgrgid(os.getegid()).gr_name
    except KeyError:
        return str(os.getegid())
