"""The maildrop: a folder where local programs leave mail by `sendmail`, whoever they are.

    maildrop/            mode 3733: anybody may put a file in, only the service may look
      NOTICE             who may use it, for `sendmail` to say so at once; read by all
      1767225600.0123...  a message, mode 0640
      taken/             the service's own; a message is moved here before it is looked at
      refused/           the service's own; what was refused, for the operator

The folder gives each file its own group (the service's), so the service can read what its writer
has closed to everybody else. That anybody may write here makes this a border: a file is taken for
mail of its owner only when nobody else can have written it or have put another's file here. It
must be a regular file, mode 0640, of our group, with one name, not larger than what may be sent.
A link, a pipe, a folder, a socket is never opened for reading.

Everything here is BLOCKING and for one thread. Failures: `MaildropUnusable` when it is prepared,
`NotMail` for a file that is no message, OSError from the disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import stat
from typing import Final

from attrs import frozen

from m365gw.edge.local.maildrop_folders import (
    MaildropUnusable,
    group,
    open_or_make,
    own_folder,
    user,
)
from m365gw.smtp.dropped import (
    ENVELOPE_LIMIT,
    HEAD_LENGTH,
    Dropped,
    NotDropped,
    parse_envelope,
    parse_head,
)

NOTICE: Final = "NOTICE"
FILE_MODE: Final = 0o640
STALE: Final = 86400.0  # seconds after which a file that was never finished is swept

_NAME = re.compile(r"[0-9]{10}\.[0-9a-f]{32}")
_UNFINISHED = re.compile(r"\.[0-9]{10}\.[0-9a-f]{32}")
_TAKEN = re.compile(r"([0-9]{10}\.[0-9a-f]{32})(?:\.([0-9A-Z]{13}))?")
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NotMail(Exception):
    """What lies in the maildrop is no message of its owner; the text says why."""


@frozen
class Mail:
    """A message of the maildrop, open and checked. `uid` is who wrote it."""

    fd: int
    name: str
    uid: int
    envelope: Dropped
    offset: int  # of its content in the file
    size: int  # octets of its content

    def read(self, offset: int, length: int) -> bytes:
        """Octets of the content. Raises NotMail when it has become shorter."""
        length = min(length, self.size - offset)
        octets = os.pread(self.fd, length, self.offset + offset)
        if len(octets) != length:
            raise NotMail("it was changed while it was read")
        return octets

    def close(self) -> None:
        """Let go of the file."""
        os.close(self.fd)


class Maildrop:
    """The maildrop in one folder, made when it is not there."""

    def __init__(self, path: str, size_limit: int) -> None:
        """Messages of more than `size_limit` octets are not mail. Raises MaildropUnusable."""
        self._size_limit = size_limit + HEAD_LENGTH + ENVELOPE_LIMIT
        try:
            self._root = open_or_make(path)
            self._taken = own_folder(self._root, "taken")
            self._refused = own_folder(self._root, "refused")
        except OSError as error:
            raise MaildropUnusable(
                f"The maildrop {path} cannot be used: {error.strerror}. Make it for the user of "
                f"the service: install -d -o {user()} -g {group()} -m 3733 {path}"
            ) from error
        self._group = os.fstat(self._root).st_gid
        try:
            fcntl.flock(self._taken, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            words = f"The maildrop {path} is in use by another process. One at a time may empty it."
            self.close()
            raise MaildropUnusable(words) from None

    def post(self, users: list[int] | None, message_size_limit: int) -> None:
        """Tell `sendmail` who may use the maildrop (None: everybody), and how large mail may be."""
        notice = {"users": users, "message_size_limit": message_size_limit}
        create = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        with os.fdopen(os.open(NOTICE, create, dir_fd=self._taken), "w") as file:
            os.fchmod(file.fileno(), 0o644)  # whatever our umask
            file.write(json.dumps(notice) + "\n")
        os.rename(NOTICE, NOTICE, src_dir_fd=self._taken, dst_dir_fd=self._root)

    def take(self, most: int, left: set[str]) -> tuple[list[str], dict[str, str]]:
        """Move what waits out of its owners' reach: at most so many, in any order.

        Gives the names taken, and those that cannot be moved with the reason; names in `left` are
        not tried.
        """
        taken: list[str] = []
        failed: dict[str, str] = {}
        with os.scandir(self._root) as found:
            for item in found:
                if item.name in left or not _NAME.fullmatch(item.name):
                    continue
                try:
                    os.rename(item.name, item.name, src_dir_fd=self._root, dst_dir_fd=self._taken)
                except FileNotFoundError:
                    continue  # its owner thought better of it
                except OSError as error:
                    failed[item.name] = error.strerror or str(error)
                    continue
                taken.append(item.name)
                if len(taken) >= most:
                    break
        return taken, failed

    def sweep(self, now: float) -> None:
        """Remove what was begun a day before `now`, in seconds since 1970, and never finished."""
        with os.scandir(self._root) as found:
            for item in found:
                if _UNFINISHED.fullmatch(item.name):
                    with contextlib.suppress(OSError):  # its writer was faster, or it is a folder
                        if now - item.stat(follow_symlinks=False).st_mtime > STALE:
                            os.unlink(item.name, dir_fd=self._root)

    def leftovers(self) -> list[tuple[str, str]]:
        """What an earlier run had taken and not finished: name, and queue id or ""."""
        found = [_TAKEN.fullmatch(name) for name in sorted(os.listdir(self._taken))]
        return [(one[1], one[2] or "") for one in found if one is not None]

    def open(self, name: str) -> Mail:
        """A message that was taken. Raises NotMail and OSError."""
        found = os.stat(name, dir_fd=self._taken, follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode):
            raise NotMail("it is not a regular file")
        fd = os.open(name, _READ, dir_fd=self._taken)
        try:
            return self._read(fd, name)
        except BaseException:
            os.close(fd)
            raise

    def note(self, name: str, queue_id: str) -> None:
        """Note durably that a taken message goes into the spool under this queue id."""
        os.rename(name, f"{name}.{queue_id}", src_dir_fd=self._taken, dst_dir_fd=self._taken)
        os.fsync(self._taken)
        os.fsync(self._root)

    def forget_note(self, name: str, queue_id: str) -> None:
        """It did not get there after all."""
        os.rename(f"{name}.{queue_id}", name, src_dir_fd=self._taken, dst_dir_fd=self._taken)

    def done(self, name: str, queue_id: str) -> None:
        """The message is in the spool, durably: its file goes."""
        os.unlink(f"{name}.{queue_id}", dir_fd=self._taken)
        os.fsync(self._taken)

    def refuse(self, name: str) -> None:
        """Keep a taken message for the operator."""
        os.rename(name, name, src_dir_fd=self._taken, dst_dir_fd=self._refused)

    def close(self) -> None:
        """Let go of the folders."""
        for fd in (self._root, self._taken, self._refused):
            os.close(fd)

    def _read(self, fd: int, name: str) -> Mail:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise NotMail("it is not a regular file")
        if found.st_nlink != 1:
            raise NotMail("it has more than one name, so its owner may not be who put it here")
        if stat.S_IMODE(found.st_mode) != FILE_MODE or found.st_gid != self._group:
            raise NotMail("others than its owner may have written it")
        if found.st_size > self._size_limit:
            raise NotMail("it is larger than any message may be")
        try:
            head = os.pread(fd, HEAD_LENGTH, 0)
            length, size = parse_head(head, found.st_size)
            envelope = parse_envelope(os.pread(fd, length, HEAD_LENGTH))
        except NotDropped as error:
            raise NotMail(str(error)) from None
        return Mail(fd, name, found.st_uid, envelope, HEAD_LENGTH + length, size)


def withdraw(path: str, message_size_limit: int) -> int:
    """The service has no rule for local programs any more: a notice that says otherwise is renewed.

    Gives how many messages lie there, which nobody will pick up. What is not ours, or in use by
    another service, is left alone.
    """
    if not os.path.lexists(os.path.join(path, NOTICE)):
        return 0
    try:
        maildrop = Maildrop(path, message_size_limit)
    except MaildropUnusable:
        return 0
    try:
        maildrop.post([], message_size_limit)
        return sum(_NAME.fullmatch(name) is not None for name in os.listdir(path))
    except OSError:
        return 0
    finally:
        maildrop.close()
