"""The key that seals secrets: a file of its own, apart from what it seals.

    state_dir/keys/seal      one Fernet key a line; the first seals, all of them open

The name of a secret is part of what is sealed, so one that was copied under another name does not
open. The file is read each time: a key that was changed beside a running service holds at once.

Failures: `SealError`; its text names the file and the remedy, and never a secret.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from m365gw.directory.private_files import create_private, write_private


class SealError(Exception):
    """The key cannot be read or made. The text is for the operator."""


class Seal:
    """The keys of one gateway. Blocking calls."""

    def __init__(self, state_dir: str) -> None:
        self.file = Path(state_dir, "keys", "seal")

    def exists(self) -> bool:
        """Whether there is a key, good or not. Raises `SealError` when nobody can tell."""
        try:
            self.file.stat()  # not `exists`: Python 3.14 says no where nobody can tell
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._failed(error) from error
        return True

    def mark(self) -> object:
        """What changes when the keys do; None where nobody can tell."""
        try:
            status = self.file.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ctime_ns, status.st_ino

    def make(self) -> None:
        """Make a key where there is none. Raises `SealError`."""
        try:
            create_private(self.file, Fernet.generate_key() + b"\n")
        except OSError as error:
            raise self._failed(error) from error

    def close(self, name: str, secret: bytes) -> bytes:
        """The secret, sealed with its name. Raises `SealError`."""
        return self._fernet(self._keys()).encrypt(_digest(name) + secret)

    def open(self, name: str, sealed: bytes) -> bytes | None:
        """The secret; None when no key opens it under this name. Raises `SealError`."""
        return _opened(self._fernet(self._keys()), name, sealed)

    def opens_by_first(self, name: str, sealed: bytes) -> bool:
        """Whether the first key alone opens it. Raises `SealError`."""
        return _opened(self._fernet(self._keys()[:1]), name, sealed) is not None

    def begin_rotation(self) -> None:
        """Put a new key before those there are, durably. Raises `SealError`."""
        self._write([Fernet.generate_key(), *self._keys()])

    def end_rotation(self) -> None:
        """Keep the first key only: nothing may need the others. Raises `SealError`."""
        self._write(self._keys()[:1])

    def _write(self, keys: list[bytes]) -> None:
        try:
            write_private(self.file, b"".join(key + b"\n" for key in keys))
        except OSError as error:
            raise self._failed(error) from error

    def _fernet(self, keys: list[bytes]) -> MultiFernet:
        try:
            return MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise SealError(
                f"{self.file}: holds no valid key. Restore it from a backup."
            ) from error

    def _keys(self) -> list[bytes]:
        try:
            return self.file.read_bytes().split()
        except FileNotFoundError:
            raise SealError(
                f"{self.file} is not there, and without it no stored secret opens. Restore it from"
                " a backup. If it is lost for good: m365gw keys rotate --forget-lost, and sign the"
                " mailboxes in again."
            ) from None
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> SealError:
        return SealError(f"{self.file}: {error.strerror}")


def _opened(keys: MultiFernet, name: str, sealed: bytes) -> bytes | None:
    try:
        opened = keys.decrypt(sealed)
    except InvalidToken:
        return None
    digest = _digest(name)
    return opened.removeprefix(digest) if opened.startswith(digest) else None


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
