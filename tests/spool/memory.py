"""A disk in memory that forgets what was not synced, behind the spool's layer of system calls.

What it assumes of a file system is what ext4, XFS and btrfs promise and no more:

* names change in order, as a journal has them: after a power loss some beginning of all changes
  since the last sync of a folder is there, a rename wholly or not at all;
* the content of a file is certain only up to its last sync; what was written later may be there,
  may be missing, or may be there in some sectors only.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

from attrs import define, field

from m365gw.spool.files import Files

SECTOR = 512


@define(eq=False)
class Node:
    """A file: what it holds, and what it held when it was last synced."""

    data: bytearray = field(factory=bytearray)
    synced: bytes = b""
    is_locked: bool = False

    def after_power_loss(self, content: str) -> bytes:
        """What is found: the synced octets ("lost"), the latest ("kept"), or some of each."""
        latest = bytes(self.data)
        if content == "kept":
            return latest
        if content == "lost":
            return self.synced
        old = self.synced.ljust(len(latest), b"\0")
        sectors = range(0, len(latest), SECTOR)
        sides = zip(sectors, itertools.cycle((latest, old)), strict=False)
        return b"".join(side[at : at + SECTOR] for at, side in sides)


class MemoryFiles(Files):
    """The system calls of the spool on such a disk."""

    def __init__(self) -> None:
        self.root = 0
        self.folders = {"."}
        self.files: dict[str, Node] = {}
        self.changes: list[tuple[str, ...] | tuple[str, str, Node]] = []
        self.certain = 0  # changes of names that no power loss undoes
        self._open: dict[int, Node | str] = {0: "."}
        self._next = 1000

    # Crashes

    def kill(self) -> None:
        """The process ended: its descriptors are closed, everything else stays."""
        for thing in self._open.values():
            if isinstance(thing, Node):
                thing.is_locked = False
        self._open = {0: "."}

    def power_losses(self) -> Iterator[MemoryFiles]:
        """The disks that may be found after the power went now."""
        for kept in sorted({self.certain, (self.certain + len(self.changes)) // 2}):
            yield self._survivor(kept, "torn")
        yield self._survivor(self.certain, "lost")
        yield self._survivor(len(self.changes), "lost")
        yield self._survivor(len(self.changes), "torn")

    def _survivor(self, kept: int, content: str) -> MemoryFiles:
        found = MemoryFiles()
        nodes: dict[str, Node] = {}
        for change in self.changes[:kept]:
            if change[0] == "folder":
                found.folders.add(change[1])
            elif change[0] == "create":
                nodes[change[1]] = change[2]
            elif change[0] == "rename":
                nodes[change[2]] = nodes.pop(change[1])
            else:
                del nodes[change[1]]
        for path, node in nodes.items():
            data = node.after_power_loss(content)
            found.files[path] = Node(bytearray(data), data)
            found.changes.append(("create", path, found.files[path]))
        found.changes[:0] = [("folder", folder) for folder in sorted(found.folders - {"."})]
        found.certain = len(found.changes)
        return found

    def copy(self) -> MemoryFiles:
        """A disk like this one, with everything synced and nothing open."""
        self.certain = len(self.changes)
        return self._survivor(self.certain, "kept")

    # System calls

    def pwritev(self, fd: int, buffers: Sequence[bytes], offset: int) -> int:
        data = b"".join(buffers)
        file = self._node(fd).data
        file.extend(b"\0" * (offset - len(file)))
        file[offset : offset + len(data)] = data
        return len(data)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        return self.pwritev(fd, [data], offset)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        return bytes(self._node(fd).data[offset : offset + length])

    def truncate(self, fd: int) -> None:
        self._node(fd).data.clear()

    def fsync(self, fd: int) -> None:
        thing = self._open[fd]
        if isinstance(thing, Node):
            thing.synced = bytes(thing.data)
        else:
            self.certain = len(self.changes)

    def fdatasync(self, fd: int) -> None:
        self.fsync(fd)

    def fstat(self, fd: int) -> SimpleNamespace:
        thing = self._open[fd]
        if isinstance(thing, str):
            return SimpleNamespace(st_mode=stat.S_IFDIR | 0o700, st_uid=os.geteuid())
        return SimpleNamespace(st_mode=stat.S_IFREG | 0o600, st_size=len(thing.data))

    def close(self, fd: int) -> None:
        thing = self._open.pop(fd)
        if isinstance(thing, Node):
            thing.is_locked = False

    def create(self, path: str) -> int:
        if path in self.files:
            raise FileExistsError(errno.EEXIST, "File exists", path)
        return self.open_or_create(path)

    def open(self, path: str, write: bool) -> int:
        return self._opened(self._file(path))

    def open_or_create(self, path: str) -> int:
        if path not in self.files:
            self._parent(path)
            self.files[path] = Node()
            self.changes.append(("create", path, self.files[path]))
        return self._opened(self.files[path])

    def rename(self, path: str, to: str) -> None:
        self._parent(to)
        self.files[to] = self._file(path)
        if path == to:
            return  # rename(2): nothing is done
        del self.files[path]
        self.changes.append(("rename", path, to))

    def unlink(self, path: str) -> None:
        self._file(path)
        del self.files[path]
        self.changes.append(("unlink", path))

    def own(self, fd: int) -> None:
        self._node(fd)

    def make_folder(self, path: str) -> None:
        if path in self.folders:
            raise FileExistsError(errno.EEXIST, "File exists", path)
        self._parent(path)
        self.folders.add(path)
        self.changes.append(("folder", path))

    def open_folder(self, path: str) -> int:
        if path not in self.folders:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        return self._opened(path)

    def names(self, path: str) -> Iterator[str]:
        self.close(self.open_folder(path))
        for found in list(self.files):
            if os.path.dirname(found) == path:
                yield os.path.basename(found)

    def lock(self, fd: int) -> None:
        node = self._node(fd)
        if node.is_locked:
            raise BlockingIOError(errno.EWOULDBLOCK, "locked")
        node.is_locked = True

    def free_space(self) -> int:
        return 1 << 40

    def free_files(self) -> int | None:
        return None

    # Within

    def _opened(self, thing: Node | str) -> int:
        self._next += 1
        self._open[self._next] = thing
        return self._next

    def _node(self, fd: int) -> Node:
        thing = self._open.get(fd)
        if not isinstance(thing, Node):
            raise OSError(errno.EBADF, "Bad file descriptor")
        return thing

    def _file(self, path: str) -> Node:
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        return self.files[path]

    def _parent(self, path: str) -> None:
        if (os.path.dirname(path) or ".") not in self.folders:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
