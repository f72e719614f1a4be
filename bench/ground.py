"""Where a server keeps its mail during one run: a fresh ext4 with a journal, in a file.

Every run gets its own, so that none stands on what an earlier one left. A mount needs root; where
it cannot be had, a plain folder must do, and figures taken there mislead: it depends on the file
system, its age and its journal which server looks good.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OCTETS = 4 * 2**30  # of the image; the file is sparse
INODES = 2**18
IMAGE = "image"
# Initialised at once: else the kernel would do it while we measure.
AT_ONCE = "lazy_itable_init=0,lazy_journal_init=0"
MKFS = ("mkfs.ext4", "-q", "-F", "-m", "0", "-O", "has_journal", "-E", AT_ONCE)


class StillBusy(Exception):
    """A file system could not be unmounted."""


class Ground:
    """Makes the place of each run. `why_not` says why it has to be a plain folder, if it has."""

    def __init__(self, scratch: Path, octets: int = OCTETS, inodes: int = INODES) -> None:
        self._scratch = scratch
        self._octets, self._inodes = octets, inodes
        self.why_not = ""
        try:
            with self.fresh():
                pass
        except (OSError, subprocess.CalledProcessError) as error:
            self.why_not = _reason(error)

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """An empty folder, and nothing of it left afterwards."""
        place = Path(tempfile.mkdtemp(prefix="m365gw-bench-", dir=self._scratch))
        try:
            place.chmod(0o755)  # servers that give up their rights must get through
            if self.why_not:
                yield place
            else:
                with self._made(place) as folder:
                    yield folder
        finally:
            if not os.path.ismount(place / "mail"):
                shutil.rmtree(place)

    def mount_anew(self, folder: Path) -> None:
        """Have the kernel forget all it remembers of a place, as after a start of the machine."""
        if not self.why_not:
            _unmount(folder)
            _mount(folder.parent / IMAGE, folder)

    @contextmanager
    def _made(self, place: Path) -> Iterator[Path]:
        image, folder = place / IMAGE, place / "mail"
        folder.mkdir()
        with image.open("wb") as file:
            file.truncate(self._octets)
        _run(*MKFS, "-N", str(self._inodes), image)
        _mount(image, folder)
        try:
            folder.chmod(0o755)
            (folder / "lost+found").rmdir()
            yield folder
        finally:
            _unmount(folder)


def _mount(image: Path, folder: Path) -> None:
    device = _run("losetup", "--find", "--show", "--direct-io=on", image)
    try:
        _run("mount", "-t", "ext4", device, folder)
    finally:
        # While it is mounted this only notes that the device goes when the mount does.
        _run("losetup", "--detach", device)


def _unmount(folder: Path) -> None:
    """A program that has just ended may keep the file system busy for a moment."""
    for _ in range(50):
        if subprocess.run(["umount", folder], check=False, capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    raise StillBusy(f"{folder} is still in use and stays mounted; later: umount {folder}")


def _run(*command: str | Path) -> str:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    return done.stdout.strip()


def _reason(error: OSError | subprocess.CalledProcessError) -> str:
    if os.geteuid() != 0:
        return "only root may mount one"
    said = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
    return str(said).strip().splitlines()[-1]
