"""Where the files of another program are: a folder, or a zip archive of them.

Only files asked for by name are read, each up to a bound, and nothing is ever unpacked, so no name
or size in an archive does harm. A folder may be somebody else's while root reads it: what leads out
of it by a link is not followed, and only plain files are read.

Failures: `Unreadable`, with the name and the reason.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from pathlib import Path
from typing import Final, Protocol

from attrs import frozen

LONGEST: Final = 64 * 1024 * 1024  # octets of one file; a database of 100,000 accounts


class Unreadable(Exception):
    """A file is there and cannot be read."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")
        self.name = name
        self.why = why


class Place(Protocol):
    """Files by name, "sasl/users"."""

    def read(self, name: str) -> bytes | None:
        """What is in it, or None when there is no such file. Raises `Unreadable`."""
        ...


@frozen
class Folder:
    """A folder of the file system."""

    _root: Path

    def read(self, name: str) -> bytes | None:
        try:
            path = (self._root / name).resolve()
            if not path.is_relative_to(self._root.resolve()):
                raise Unreadable(name, "a link leads out of the folder; copy the file into it")
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, RuntimeError, ValueError) as error:  # links in a circle; a NUL in the name
            raise Unreadable(name, getattr(error, "strerror", None) or "no such name") from None
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise Unreadable(name, "is not a plain file")
        with open(handle, "rb") as stream:
            try:
                return _bounded(name, stream.read(LONGEST + 1))
            except OSError as error:
                raise Unreadable(name, error.strerror or "cannot be read") from None


@frozen
class Archive:
    """A zip archive."""

    _file: Path

    def read(self, name: str) -> bytes | None:
        try:
            if self._file.stat().st_size > LONGEST:
                raise Unreadable(self._file.name, f"is larger than {LONGEST // 1048576} MiB")
            with zipfile.ZipFile(self._file) as archive, archive.open(name) as stream:
                return _bounded(name, stream.read(LONGEST + 1))
        except KeyError:
            return None
        except OSError as error:
            raise Unreadable(self._file.name, error.strerror or "cannot be read") from None
        except zipfile.BadZipFile:
            raise Unreadable(self._file.name, "is no zip archive, or a damaged one") from None
        except (zlib.error, EOFError, ValueError):
            raise Unreadable(name, "is damaged in the archive") from None
        except (NotImplementedError, RuntimeError):
            raise Unreadable(name, "is encrypted, or packed in a way nobody knows here") from None


def place_of(path: Path) -> Place:
    """The folder or archive of that name. Raises `Unreadable` when there is none."""
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise Unreadable(str(path), "there is no such folder or file") from None
    except OSError as error:
        raise Unreadable(str(path), error.strerror or "cannot be looked at") from None
    return Folder(path) if is_folder else Archive(path)


def text_of(place: Place, name: str) -> str | None:
    """The text of a file in UTF-8, or None when there is none. Raises `Unreadable`."""
    octets = place.read(name)
    try:
        return None if octets is None else octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(name, f"is not UTF-8, from octet {error.start} on") from None


def _bounded(name: str, octets: bytes) -> bytes:
    if len(octets) > LONGEST:
        raise Unreadable(name, f"is larger than {LONGEST // 1048576} MiB")
    return octets
