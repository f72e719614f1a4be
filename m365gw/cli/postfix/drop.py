"""The maildrop as `sendmail` sees it: what the service says about it, and a file put into it.

Anybody may run this, and it has no rights of its own. It may put a file into the maildrop and look
at nothing there but the service's notice. A message handed in is on stable storage when `drop`
returns: whole under its name, or not there at all.

Failures: `Fatal` with 75, which asks callers to keep the message and try again, or 77 for a user
who may not send.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
import stat
import time
from contextlib import suppress

from attrs import frozen

from m365gw.cli.postfix.call import EX_NOPERM, EX_TEMPFAIL, Fatal
from m365gw.config.limits import Limits

# These three are as `m365gw.edge.local.maildrop` knows them; a test holds them together.
NOTICE = "NOTICE"
FILE_MODE = 0o640
NOTICE_LIMIT = 65536  # octets


@frozen
class Notice:
    """What the service says: who may send (None: everybody), and how large mail may be."""

    users: tuple[int, ...] | None = None
    message_size_limit: int = Limits().message_size_limit

    def check(self, uid: int) -> None:
        """Raises Fatal for a user who may not send."""
        if self.users is not None and uid not in self.users:
            raise Fatal(f"User {user_name(uid)}({uid}) is not allowed to submit mail", EX_NOPERM)


def read_notice(maildrop: str) -> Notice:
    """The service's notice; without one, or with one of somebody else's, nothing is known."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with suppress(OSError, ValueError, TypeError, KeyError):
        fd = os.open(os.path.join(maildrop, NOTICE), flags)
        with os.fdopen(fd, "rb") as file:
            found = os.fstat(file.fileno())
            if stat.S_ISREG(found.st_mode) and found.st_uid == os.stat(maildrop).st_uid:
                said = json.loads(file.read(NOTICE_LIMIT))
                users = said["users"]
                return Notice(
                    None if users is None else tuple(map(int, users)),
                    int(said["message_size_limit"]),
                )
    return Notice()


def drop(maildrop: str, message: bytes) -> None:
    """Put a message into the maildrop, durably. Raises Fatal."""
    unique = f"{int(time.time()):010d}.{secrets.token_hex(16)}"
    path, hidden = os.path.join(maildrop, unique), os.path.join(maildrop, f".{unique}")
    try:
        fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(message)
                file.flush()
                os.fchmod(fd, FILE_MODE)
                os.fsync(fd)
                os.rename(hidden, path)
                # Users may not open the folder to sync it. The file system notes a rename in the
                # file too, so syncing that again makes the name durable (ext4, XFS, btrfs).
                os.fsync(fd)
        except BaseException:
            for name in (hidden, path):  # the caller keeps the message, so nobody else may
                with suppress(OSError):
                    os.unlink(name)
            raise
    except OSError as error:
        words = f"cannot put the message into the maildrop {maildrop}: {error.strerror}"
        raise Fatal(words, EX_TEMPFAIL) from None


def user_name(uid: int) -> str:
    """The login name of a user, or its number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
