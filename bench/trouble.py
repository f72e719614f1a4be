"""Real troubles of a real file system: an ext4 in a file, which can be filled, broken and mended.

Needs root. Nothing but the one file system is touched.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from attrs import define

MIB = 2**20
OCTETS = 64 * MIB
_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN: from now on every call is answered with EIO
_WITHOUT_ITS_JOURNAL = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH: as if the power had gone


@define
class Disk:
    """An ext4 at `mount`, whose image lies on a tmpfs of its own that can run full below it."""

    place: Path
    inodes: int = 4000

    @property
    def mount(self) -> Path:
        return self.place / "disk"

    @property
    def _below(self) -> Path:
        return self.place / "below"

    @property
    def _image(self) -> Path:
        return self._below / "image"

    def make(self) -> None:
        """A new file system, mounted."""
        for folder in (self.mount, self._below):
            folder.mkdir(parents=True)
        _run("mount", "-t", "tmpfs", "-o", f"size={OCTETS + 4 * MIB}", "disk", self._below)
        with self._image.open("wb") as image:
            image.truncate(OCTETS)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", "-N", str(self.inodes), self._image)
        self.attach()

    def attach(self) -> None:
        """Repair and mount it."""
        subprocess.run(["e2fsck", "-p", self._image], check=False, capture_output=True)
        _run("mount", "-o", "loop,errors=remount-ro", self._image, self.mount)

    def detach(self) -> None:
        """Unmount it; fails while anybody holds it."""
        _run("umount", self.mount)

    def remove(self) -> None:
        """Leave nothing of it."""
        for folder in (self.mount, self._below):
            while os.path.ismount(folder):
                _run("umount", "-l", folder)

    def fill(self) -> None:
        """No octet is left."""
        with (self.mount / "filler").open("wb", buffering=0) as filler:
            _write_until_full(filler.fileno(), (MIB, 4096, 1))

    def fill_inodes(self) -> None:
        """No file can be made any more."""
        crowd = self.mount / "crowd"
        crowd.mkdir()
        try:
            for number in range(10 * self.inodes):
                (crowd / str(number)).touch()
        except OSError:
            return

    def make_room(self) -> None:
        """Undo what filled it."""
        (self.mount / "filler").unlink(missing_ok=True)
        _run("rm", "-rf", self.mount / "crowd")

    def shut_down(self) -> None:
        """The device is gone: EIO from everything, fsync included."""
        fd = os.open(self.mount, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", _WITHOUT_ITS_JOURNAL))
        finally:
            os.close(fd)

    def turn_read_only(self) -> None:
        """The kernel found an error in it, and protects what is there."""
        device = Path(_run("findmnt", "-n", "-o", "SOURCE", self.mount)).name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("1")

    def fill_below(self) -> None:
        """What is written to it cannot be kept: fsync tells."""
        with (self._below / "filler").open("wb", buffering=0) as filler:
            _write_until_full(filler.fileno(), (MIB, 4096))

    def make_room_below(self) -> None:
        """Undo that."""
        (self._below / "filler").unlink(missing_ok=True)


def _write_until_full(fd: int, sizes: Sequence[int]) -> None:
    for size in sizes:
        try:
            while os.write(fd, bytes(size)):
                pass
        except OSError:
            continue


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()
