"""When each password was last used, and from where: kept in memory, and in a file of state_dir.

A password is known by a digest of its stored hash, so that the file tells nothing of it. What the
file says is a help for whoever changes passwords, never a condition of a login: a file that cannot
be read begins anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from attrs import asdict, frozen

from m365gw.directory.private_files import write_private

FILE = "last-use.json"  # in state_dir


@frozen
class Use:
    """The last login by one password. `at` is in seconds since the epoch."""

    login: str
    password: str  # `fingerprint` of the stored hash
    at: float
    address: str  # "" for a Unix socket


def fingerprint(stored: str) -> str:
    """What a stored hash is known by, where the hash itself should not be shown."""
    return hashlib.sha256(stored.encode()).hexdigest()[:16]


class LastUse:
    """The last use of every password. `write` may run in a thread of its own."""

    def __init__(self, state_dir: str) -> None:
        self._file = Path(state_dir, FILE)
        self.is_readable = _may_be_read(self._file)
        self._uses = {(use.login, use.password): use for use in _read(self._file)}

    def __iter__(self) -> Iterator[Use]:
        return iter(self._uses.values())

    def note(self, login: str, stored: str, address: str, now: float) -> None:
        """A login by this password has succeeded."""
        use = Use(login, fingerprint(stored), now, address)
        self._uses[login, use.password] = use

    def of(self, login: str, stored: str) -> Use | None:
        """The last use of a password, if it is known."""
        return self._uses.get((login, fingerprint(stored)))

    def octets(self) -> bytes:
        """All of it as the file holds it."""
        return json.dumps({"uses": [asdict(use) for use in self._uses.values()]}).encode()

    def write(self, octets: bytes) -> None:
        """Replace the file, durably. Raises OSError."""
        write_private(self._file, octets)


def _may_be_read(file: Path) -> bool:
    """Whether the file can be read, or is known not to be there."""
    try:
        with file.open("rb"):
            return True
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _read(file: Path) -> list[Use]:
    try:
        return [
            Use(str(use["login"]), str(use["password"]), float(use["at"]), str(use["address"]))
            for use in json.loads(file.read_bytes())["uses"]
        ]
    except (OSError, ValueError, LookupError, TypeError):
        return []
