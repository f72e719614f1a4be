"""Secrets at rest: sealed, one file each, under a key that lies elsewhere.

    state_dir/keys/seal      one Fernet key a line; the first seals, all of them open
    state_dir/sealed/NAME    a secret, sealed together with its own name

A sealed file copied to another name does not open: the name is part of what is sealed. Files are
written whole (a temporary file, fsync, rename, fsync of the folder), so a crash leaves the old
secret or the new one.

Failures: `VaultError` when a secret cannot be opened (key lost, file damaged) or stored; its text
names the file and the remedy and never the secret.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from m365gw.directory.private_files import create_private, write_private


class VaultError(Exception):
    """A secret cannot be read or written. The text is for the operator."""


class Vault:
    """The sealed secrets of one gateway. Blocking calls."""

    def __init__(self, state_dir: str) -> None:
        self._keys = Path(state_dir) / "keys"
        self._sealed = Path(state_dir) / "sealed"

    def load(self, name: str) -> bytes | None:
        """The secret of that name, or None when there is none. Raises `VaultError`."""
        path = self._path(name)
        try:
            sealed = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise VaultError(f"{path}: cannot be read: {error.strerror}") from error
        try:
            opened = self._seal().decrypt(sealed)
        except InvalidToken:
            opened = b""
        if not opened.startswith(_digest(name)):
            raise VaultError(
                f"{path}: does not open with the keys in {self._keys / 'seal'}. "
                "Restore the key file that belongs to it, or sign the mailbox in again."
            )
        return opened.removeprefix(_digest(name))

    def store(self, name: str, secret: bytes) -> None:
        """Keep a secret under a name; it is on disk when this returns. Raises `VaultError`."""
        path = self._path(name)
        try:
            write_private(path, self._seal().encrypt(_digest(name) + secret))
        except OSError as error:
            raise VaultError(f"{path}: cannot be written: {error.strerror}") from error

    def _seal(self) -> MultiFernet:
        path = self._keys / "seal"
        try:
            if not path.exists():
                create_private(path, Fernet.generate_key() + b"\n")
            return MultiFernet([Fernet(key) for key in path.read_bytes().split()])
        except OSError as error:
            raise VaultError(f"{path}: {error.strerror}") from error
        except ValueError as error:
            raise VaultError(f"{path}: holds no valid key. Restore it from a backup.") from error

    def _path(self, name: str) -> Path:
        """A file name made from a secret's name: readable, and never a path."""
        readable = re.sub(r"[^0-9A-Za-z@._-]", "_", name).lstrip(".")[:100]
        return self._sealed / f"{readable}.{_digest(name).hex()[:16]}"


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
