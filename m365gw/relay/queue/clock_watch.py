"""Somebody sets the clock of the machine: what waits waits as long as it was meant to.

Timers of Twisted end at a time of day. Were the clock set back by three hours, each would last
three hours longer, and with nothing else to do the program would sleep through them. So a thread
that sleeps by the steady clock compares the two; when the clock was set, all timers under way are
moved by as much, and whoever keeps times of its own is told.

Failures: none. A step of less than a second is no matter.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from threading import Event, Thread
from typing import Any

from m365gw.events import EventLog

LOOK_EVERY = 5.0  # seconds
LEAST = 1.0  # seconds; time servers move the clock by less all the time

_boottime = partial(time.clock_gettime, time.CLOCK_BOOTTIME)


class ClockWatch:
    """Looks at the clock. `was_set` is told in the reactor by how many seconds it was set."""

    def __init__(
        self,
        reactor: Any,
        log: EventLog,
        was_set: Callable[[float], object],
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = _boottime,
    ) -> None:
        self._reactor = reactor
        self._log = log
        self._was_set = was_set
        self._wall, self._steady = wall, steady
        self._apart = wall() - steady()
        self._is_over = Event()

    def start(self) -> None:
        """Look every few seconds, in a thread that keeps no program alive."""
        Thread(target=self._watch, name="clock", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._is_over.set()

    def look(self) -> None:
        """Compare the clocks now; may be called in any thread."""
        apart = self._wall() - self._steady()
        shift = apart - self._apart
        if abs(shift) >= LEAST:
            self._apart = apart
            self._reactor.callFromThread(self._move, shift)

    def _watch(self) -> None:
        while not self._is_over.wait(LOOK_EVERY):
            self.look()

    def _move(self, shift: float) -> None:
        for call in self._reactor.getDelayedCalls():
            call.delay(shift)
        way = "forward" if shift > 0 else "back"
        note = f"the clock was set {way} by {abs(shift):.0f} s; what waits waits as long as before"
        self._log.emit("clock.set", "master", level="warn", note=note)
        self._was_set(shift)
