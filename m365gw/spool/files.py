"""The system calls of the spool: a thin layer that the crash tests replace.

Each method is one call of the operating system and raises OSError as that does; `write_all` and
`sync_all` are made of several. All paths are
relative to the spool's folder, which is held open: renaming or mounting over it while we run
changes nothing. No call follows a symbolic link in the last place of a path, and the folders
before it are ours alone.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator, Sequence

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a pipe that somebody put among the messages must not hang the open.
_PLAIN = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NOTHING = "/dev/null"  # opened as a mere place (O_PATH) it can be neither read nor entered
_MOST_BUFFERS = 1000  # IOV_MAX is 1024


class Files:
    """The calls as the operating system makes them, inside one folder."""

    pwritev = staticmethod(os.pwritev)
    pwrite = staticmethod(os.pwrite)
    pread = staticmethod(os.pread)
    fsync = staticmethod(os.fsync)
    fdatasync = staticmethod(os.fdatasync)
    fstat = staticmethod(os.fstat)
    close = staticmethod(os.close)

    def __init__(self, path: str) -> None:
        """Opens the folder. Raises OSError when it is not there or is not a folder."""
        self.root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def write_all(self, fd: int, buffers: Sequence[bytes], offset: int) -> None:
        """Write buffers one behind the other from an offset, in one call where it will."""
        if len(buffers) > _MOST_BUFFERS:
            buffers = [b"".join(buffers)]
        missing = sum(map(len, buffers))
        if not missing:
            return
        written = self.pwritev(fd, buffers, offset)
        if written == missing:
            return
        # A disk that ran full takes the beginning and says so at the next call.
        rest = b"".join(buffers)
        while written < missing:
            step = self.pwrite(fd, rest[written:], offset + written)
            if step == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written += step

    def sync_all(self, fds: Sequence[int]) -> list[OSError | None]:
        """fsync(2) of each file, one after the other; gives the error of each."""
        results: list[OSError | None] = []
        for fd in fds:
            try:
                self.fsync(fd)
                results.append(None)
            except OSError as error:
                results.append(error)
        return results

    def create(self, path: str) -> int:
        """A new file for writing. FileExistsError when anything has that name."""
        return os.open(path, _CREATE, 0o600, dir_fd=self.root)

    def own(self, fd: int) -> None:
        """Give a file to whom the spool's folder belongs, when the superuser made it."""
        if os.geteuid() == 0:
            folder = os.fstat(self.root)
            os.fchown(fd, folder.st_uid, folder.st_gid)

    def open(self, path: str, write: bool) -> int:
        """An existing file; OSError(ELOOP) for a symbolic link."""
        return os.open(path, _PLAIN | (os.O_RDWR if write else os.O_RDONLY), dir_fd=self.root)

    def open_or_create(self, path: str) -> int:
        """A file for reading and writing, made when it is not there."""
        return os.open(path, _PLAIN | os.O_RDWR | os.O_CREAT, 0o600, dir_fd=self.root)

    def truncate(self, fd: int) -> None:
        """Make a file empty."""
        os.ftruncate(fd, 0)

    def rename(self, path: str, to: str) -> None:
        """Move a file, replacing what has the name."""
        os.rename(path, to, src_dir_fd=self.root, dst_dir_fd=self.root)

    def unlink(self, path: str) -> None:
        """Remove a file."""
        os.unlink(path, dir_fd=self.root)

    def make_folder(self, path: str) -> None:
        """A new folder that only its owner may enter. FileExistsError when there is one."""
        os.mkdir(path, 0o700, dir_fd=self.root)

    def open_folder(self, path: str) -> int:
        """An existing folder; NotADirectoryError or OSError(ELOOP) for anything else."""
        return os.open(path, _FOLDER, dir_fd=self.root)

    def names(self, path: str) -> Iterator[str]:
        """Names of the regular files in a folder, as the disk gives them, not all at once."""
        fd = self.open_folder(path)
        try:
            with os.scandir(fd) as found:
                for item in found:
                    if item.is_file(follow_symlinks=False):
                        yield item.name
        finally:
            os.close(fd)

    def reopen(self, path: str) -> None:
        """Hold the folder that is at this path now, instead of the one held so far."""
        self.replace(self.root, os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def replace(self, fd: int, by: int) -> None:
        """Give a descriptor the file of another, which is closed. For others this is one step."""
        try:
            os.dup2(by, fd, inheritable=False)
        finally:
            os.close(by)

    def let_go(self, fd: int) -> None:
        """Hold nothing by a descriptor: from now on each call with it fails."""
        self.replace(fd, os.open(_NOTHING, os.O_PATH | os.O_CLOEXEC))

    def lock(self, fd: int) -> None:
        """Lock a file until it is closed; BlockingIOError when another process has it."""
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def free_space(self) -> int:
        """Octets an ordinary user may still write to the spool's file system."""
        found = os.fstatvfs(self.root)
        return found.f_bavail * found.f_frsize

    def free_files(self) -> int | None:
        """Files an ordinary user may still make there; None where no number is set beforehand."""
        found = os.fstatvfs(self.root)
        return found.f_favail if found.f_files else None
