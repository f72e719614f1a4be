"""An empty Debian, made once and kept: the tree that machines are booted on.

Made by debootstrap with no more than a machine needs to boot (systemd) and to look at its network.
It is kept in `.venv/machine`, with the packages and wheels that machines fetched.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

from attrs import frozen

KEPT = Path(__file__).parents[2] / ".venv" / "machine"
SUITE = "trixie"
HOST = "gateway"
PACKAGES = "dbus,iproute2,systemd,systemd-sysv"
TRIES = 3  # of a network that has its moments
# What a machine takes over to reach the package index as this one does.
FROM_HOST = {
    "/etc/resolv.conf": "etc/resolv.conf",
    "/etc/ssl/certs/ca-certificates.crt": "root/authorities.pem",
}


@frozen
class Debian:
    """A tree, and the folders of packages and wheels that go with it."""

    tree: Path
    packages: Path
    wheels: Path

    @classmethod
    def kept(cls) -> Debian:
        """The one that is kept, made first if there is none.

        Raises `subprocess.CalledProcessError` when debootstrap fails again and again.
        """
        found = cls(KEPT / SUITE, KEPT / "packages", KEPT / "wheels")
        for folder in (found.packages / "partial", found.wheels):
            folder.mkdir(parents=True, exist_ok=True)
        _have(found.tree, found.packages, f"--include={PACKAGES}")
        return found

    @staticmethod
    def slim() -> Path:
        """The smallest tree there is, as images of containers begin with."""
        packages = KEPT / "packages"
        (packages / "partial").mkdir(parents=True, exist_ok=True)
        _have(KEPT / f"{SUITE}-slim", packages)
        return KEPT / f"{SUITE}-slim"


def _have(tree: Path, packages: Path, *more: str) -> None:
    """Make it unless it is there; beside, so that a tree which is there is whole."""
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.exists():
            _make(tree, packages, *more)


def _make(tree: Path, packages: Path, *more: str) -> None:
    beside = tree.with_suffix(".new")
    options = ["--variant=minbase", f"--cache-dir={packages}", *more]
    for left in reversed(range(TRIES)):
        shutil.rmtree(beside, ignore_errors=True)
        done = subprocess.run(["debootstrap", *options, SUITE, str(beside)], check=not left)
        if not done.returncode:
            break
    for path, place in FROM_HOST.items():
        (beside / place).unlink(missing_ok=True)
        shutil.copy(path, beside / place)
    (beside / "etc/hostname").write_text(f"{HOST}\n")
    (beside / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {HOST}\n::1 localhost\n")
    beside.rename(tree)
