"""Whether the machine was ours: what others used of it while we measured.

A figure is only worth something when nobody else was working: `LIMIT` is the largest share of the
machine that other programs may use, and the same that its host may take away (steal). The share
of others is all processor time, less what we know of: the server measured, the generator, the
last hop, the bench itself and the kernel's own threads, which write what the server syncs.
Interrupts are counted as nobody's.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from attrs import frozen

LIMIT = 0.10  # of the machine
TICK = os.sysconf("SC_CLK_TCK")
LOOK = 1.0  # seconds


@frozen
class Clocks:
    """Processor time of the whole machine so far, in seconds; from the first line of /proc/stat."""

    programs: float  # user, nice and system
    stolen: float
    total: float  # idle time too

    @classmethod
    def parse(cls, stat: str) -> Clocks:
        """From the text of /proc/stat (proc(5))."""
        ticks = [int(field) for field in stat.split("\n", 1)[0].split()[1:9]]
        user, nice, system, _idle, _wait, _irq, _softirq, steal = ticks
        return cls((user + nice + system) / TICK, steal / TICK, sum(ticks) / TICK)

    @classmethod
    def now(cls) -> Clocks:
        return cls.parse(Path("/proc/stat").read_text())


@frozen
class Disturbance:
    """Shares of the machine, 0 to 1: used by others, and taken by its host."""

    foreign: float
    steal: float

    @property
    def is_quiet(self) -> bool:
        return self.foreign <= LIMIT and self.steal <= LIMIT

    def __str__(self) -> str:
        return f"others used {self.foreign:.0%} of the machine, its host took {self.steal:.0%}"


def disturbance(before: Clocks, after: Clocks, ours: float) -> Disturbance:
    """What happened between two looks, of which `ours` seconds of processor time were ours."""
    total = max(after.total - before.total, 1 / TICK)
    foreign = after.programs - before.programs - ours
    return Disturbance(max(foreign, 0.0) / total, (after.stolen - before.stolen) / total)


def await_quiet(seconds: float) -> None:
    """Wait until nobody else works, at most so long: the measurement itself decides then."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before = Clocks.now()
        time.sleep(LOOK)
        if disturbance(before, Clocks.now(), 0.0).is_quiet:
            return
