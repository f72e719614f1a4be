"""The ledger: a file of small records in which budgets are kept, exact whoever draws on it.

Each record is 62 numbers under a name. A draw reads, changes and writes records under a lock, so
that processes that share the ledger never spend the same twice; what was written is there for the
next process however this one ends (`kill -9` included), because it is in the kernel's hands at
once. A power loss may forget what was drawn since the last `sync`; `began` tells from when on the
count is known to be whole. The file is read and written, not mapped: a disk that fails then raises
an error here instead of ending the process.

The ledger has a time of its own, which runs on evenly whatever is done to the clock of the machine
and goes on over a restart of it: budgets are counted in it and need not mind a clock that is set.

Failures: `SpoolError` for a disk that fails; `Unusable` from the constructor. A file that is
damaged begins anew, as if nothing had ever been counted.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from hashlib import blake2b
from pathlib import Path

from attrs import field, frozen

from m365gw.spool.health import Health, Unusable
from m365gw.spool.leases import Leases

LEDGER = "state/ledger"  # its place in a spool
CELLS = 62  # numbers in a record
PATIENCE = 0.2  # seconds to wait for another process that draws; it needs microseconds

_MAGIC = b"m365gw ledger 1\n"
_HEADER = struct.Struct("=16s16s4d")  # magic, boot, base, noted, wall at that time, began
_RECORD = struct.Struct(f"={16}s{CELLS}d")
_SIZE = _RECORD.size  # 512: a sector, so that no power loss leaves half a record
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

Cells = list[float]


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@frozen
class Clocks:
    """The clocks of the machine, in seconds. `steady` is never set; it ends with the boot."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    boot: str = field(factory=_boot_id)


class Ledger:
    """The records of one file.

    `began` is the ledger's time since which nothing is missing; `has_unsynced` tells whether
    something was drawn since the last `sync`.
    """

    def __init__(self, path: str, health: Health, clocks: Clocks | None = None) -> None:
        self._clocks = clocks or Clocks()
        self._health = health
        self._places: dict[str, int] = {}  # name to the number of its record
        self._keys: dict[bytes, int] = {}
        self._base = self.began = 0.0
        self.has_unsynced = False
        self._path = path
        self._is_held = True
        try:
            self._fd = os.open(path, _FLAGS, 0o600)
            self._leases = Leases(self._fd)
            self._begin()
        except OSError as error:
            raise Unusable(f"{path} cannot be used: {error.strerror}.") from error

    def close(self) -> None:
        """Let go of the file, and of all leases."""
        os.close(self._fd)

    def let_go(self) -> None:
        """Hold the file no more, as its disk is to be unmounted; all calls fail until it is back.

        The number of the descriptor stays ours. Leases are lost.
        """
        if self._is_held:
            self._is_held = False
            self._hold(os.open("/dev/null", os.O_PATH | os.O_CLOEXEC))

    def take_again(self) -> None:
        """Hold the file that is there now, after `let_go`. Raises SpoolError."""
        if not self._is_held:
            with self._health:
                self._hold(os.open(self._path, _FLAGS, 0o600))
                self._places.clear()
                self._keys.clear()
                self._begin()
            self._is_held = True
            with self.drawing(*self._leases.names):
                self._leases.take_again(self._places)

    def now(self) -> float:
        """The ledger's time in seconds; near that of the day, but for clocks that were set."""
        return self._base + self._clocks.steady()

    # -- records

    def read(self, name: str) -> Cells:
        """A record as it is at this moment; noughts when there is none. For looking only."""
        with self._health:
            place = self._find(name)
            return [0.0] * CELLS if place is None else self._read(name, place)

    @contextmanager
    def drawing(self, *names: str) -> Iterator[list[Cells]]:
        """Records to be changed while nobody else can; new ones are all noughts.

        They are written when the block ends without an error.
        """
        with self._locked():
            places = [self._find_or_add(name) for name in names]
            found = [self._read(name, place) for name, place in zip(names, places, strict=True)]
            before = [list(cells) for cells in found]
            yield found
            for name, place, cells, old in zip(names, places, found, before, strict=True):
                if cells != old:
                    self.has_unsynced = True
                    os.pwrite(self._fd, _RECORD.pack(_key(name), *cells), place * _SIZE)

    # -- leases

    def lease(self, name: str, most: int) -> bool:
        """Take one of `most` places of this name (`leases`), if one is free, until `release`."""
        place = self._places.get(name)
        if place is None:
            with self.drawing(name):
                place = self._places[name]
        with self._health:
            return self._leases.take(name, place, most)

    def release(self, name: str) -> None:
        """Give one place back."""
        with self._health:
            self._leases.release(name, self._places[name])

    def leased(self, name: str) -> int:
        """Places of this name that this process holds."""
        return self._leases.count(name)

    # -- once in a while

    def note_time(self) -> None:
        """Note what time it is, so that after a restart of the machine it is known how long that
        took. Once a minute is enough."""
        with self._locked():
            self._write_header()

    def sync(self) -> None:
        """BLOCKING. Make what was drawn outlast a power loss."""
        with self._health:
            self.has_unsynced = False
            os.fdatasync(self._fd)

    # -- within

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._health:
            self._lock()
            try:
                yield
            finally:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _hold(self, fd: int) -> None:
        """Put another file behind our descriptor. For whoever uses it, that is one step."""
        os.dup2(fd, self._fd, inheritable=False)
        os.close(fd)

    def _begin(self) -> None:
        self._lock()
        try:
            self._take_over()
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _lock(self) -> None:
        """Not for ever: who holds the lock may have been stopped in that very moment."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    words = "another process keeps the ledger of budgets locked"
                    raise OSError(errno.EDEADLK, words) from None
                time.sleep(0.0002)

    def _take_over(self) -> None:
        """Go on with the time of the file, or begin anew."""
        wall, steady = self._clocks.wall(), self._clocks.steady()
        data = os.pread(self._fd, _HEADER.size, 0)
        header = _HEADER.unpack(data) if len(data) == _HEADER.size else (b"",) * 6
        if header[0] != _MAGIC:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, bytes(_SIZE), 0)
            self._base = wall - steady
            self.began = wall
        else:
            _, boot, self._base, noted, noted_wall, self.began = header
            if boot != _key(self._clocks.boot) or self.now() < noted:
                # The machine was started anew; how long that took only its clock can tell.
                self._base = noted + max(0.0, wall - noted_wall) - steady
                self.began = self.now()
        self._write_header()

    def _write_header(self) -> None:
        boot, wall = _key(self._clocks.boot), self._clocks.wall()
        header = _HEADER.pack(_MAGIC, boot, self._base, self.now(), wall, self.began)
        os.pwrite(self._fd, header, 0)

    def _find(self, name: str) -> int | None:
        """The number of a record, also of one that another process has added."""
        place = self._places.get(name)
        if place is None:
            key, last = _key(name), os.fstat(self._fd).st_size // _SIZE
            for number in range(len(self._keys) + 1, last):
                self._keys[os.pread(self._fd, 16, number * _SIZE)] = number
            place = self._keys.get(key)
            if place is not None:
                self._places[name] = place
        return place

    def _find_or_add(self, name: str) -> int:
        place = self._find(name)
        if place is None:
            place = max(1, os.fstat(self._fd).st_size // _SIZE)
            os.pwrite(self._fd, _RECORD.pack(_key(name), *([0.0] * CELLS)), place * _SIZE)
            self._keys[_key(name)] = self._places[name] = place
        return place

    def _read(self, name: str, place: int) -> Cells:
        data = os.pread(self._fd, _SIZE, place * _SIZE)
        if len(data) < _SIZE or data[:16] != _key(name):
            return [0.0] * CELLS  # somebody has written to it; what is drawn now repairs it
        return list(_RECORD.unpack(data)[1:])


@lru_cache(maxsize=4096)
def _key(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=16).digest()
