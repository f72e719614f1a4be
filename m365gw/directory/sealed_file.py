"""A file of state_dir that opens with the key of the gateway only, as secrets in the database do.

For what must be there without a database. Blocking calls. Failures: OSError, and `SealError`.
"""

from __future__ import annotations

from pathlib import Path

from m365gw.directory.private_files import write_private
from m365gw.directory.seal import Seal, SealError


class SealedFile:
    """One file, by its path in state_dir."""

    def __init__(self, state_dir: str, name: str, seal: Seal) -> None:
        self.path = Path(state_dir, name)
        self._name = name
        self._seal = seal

    def write(self, secret: bytes) -> None:
        """Replace what it holds, durably. Raises `SealError` when it does not open afterwards."""
        for _ in ("now", "after a rotation that ended between the key and the file"):
            write_private(self.path, self._seal.close(self._name, secret))
            if self._seal.open(self._name, self.path.read_bytes()) == secret:
                return
        raise self._unopened()

    def read(self) -> bytes:
        """What it holds. Raises `SealError` when no key opens it."""
        for _ in ("now", "after a rotation that ended between the file and the key"):
            secret = self._seal.open(self._name, self.path.read_bytes())
            if secret is not None:
                return secret
        raise self._unopened()

    def _unopened(self) -> SealError:
        return SealError(f"{self.path} does not open with the keys in {self._seal.file}.")

    def seal_anew(self) -> bool:
        """Seal it by the first key; what is not there, or does not open, stays as it is.

        Says whether no other key opens it then. Raises `SealError` only.
        """
        try:
            secret = self._seal.open(self._name, self.path.read_bytes())
            if secret is None:
                return True
            self.write(secret)
            return self._seal.opens_by_first(self._name, self.path.read_bytes())
        except FileNotFoundError:
            return True
        except OSError as error:
            raise SealError(f"{self.path}: {error.strerror}") from error
