"""Leases: places of which so many may be taken at a time, by all processes together.

A place is a lock of the kernel on one octet of a file, far behind all that is in it (locks may lie
there). It belongs to the open file (`F_OFD_SETLK`), so if the process dies the place is free in
that moment, and nobody has to tidy up. The octets of a name are found by the number of its record
in that file (`ledger`).

Failures: OSError.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Mapping

MOST = 1 << 12  # places of one name

_START = 1 << 40  # offset of the first octet: behind any record
_FLOCK = "hhqqi4x"  # struct flock of Linux: type, whence, start, length, process


class Leases:
    """The places that this process holds by one descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._held: dict[str, set[int]] = {}

    def take(self, name: str, record: int, most: int) -> bool:
        """Take one of `most` places of this name, if one is free."""
        mine = self._held.setdefault(name, set())
        for place in range(min(most, MOST)):
            if place not in mine and self._lock(record, place, fcntl.F_WRLCK):
                mine.add(place)
                return True
        return False

    def release(self, name: str, record: int) -> None:
        """Give one place back."""
        place = max(self._held[name])
        self._held[name].remove(place)
        self._lock(record, place, fcntl.F_UNLCK)

    def count(self, name: str) -> int:
        """How many places of this name are held."""
        return len(self._held.get(name, ()))

    @property
    def names(self) -> tuple[str, ...]:
        """Every name a place was ever taken of."""
        return tuple(self._held)

    def take_again(self, records: Mapping[str, int]) -> None:
        """Lock all that are held anew: another file is behind the descriptor."""
        for name, places in self._held.items():
            for place in places:
                self._lock(records[name], place, fcntl.F_WRLCK)

    def _lock(self, record: int, place: int, kind: int) -> bool:
        start = _START + record * MOST + place
        order = struct.pack(_FLOCK, kind, os.SEEK_SET, start, 1, 0)
        try:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, order)
        except BlockingIOError:
            return False
        return True
