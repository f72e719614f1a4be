"""What the program that supervises the service is told: that it is ready, and that it still turns.

systemd (`Type=notify`) and whoever else speaks its protocol gives a socket in NOTIFY_SOCKET. READY
comes when mail is taken and not before, so units ordered after this one find their relay there.
With WatchdogSec= a sign of life is sent from the reactor at half that time: a reactor that stands
still for so long gets no further, and is started anew; what was accepted is in the spool.

Nobody listening is no trouble. Source: sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Supervisor:
    """Tells the supervisor of this process how it stands."""

    def __init__(self, clock: IReactorTime, environment: Mapping[str, str] = os.environ) -> None:
        self._clock = clock
        self._place = _address(environment.get("NOTIFY_SOCKET", ""))
        self._interval = _watchdog(environment)
        self._next: IDelayedCall | None = None

    def ready(self) -> None:
        """Mail is taken; from now on signs of life are sent."""
        self._tell("READY=1", "STATUS=runs; m365gw status tells how it stands")
        if self._interval and self._next is None:
            self._sign_of_life()

    def reloading(self) -> None:
        """A new configuration is read; `ready` says when that is over."""
        self._tell("RELOADING=1", "STATUS=takes a new configuration")

    def stopping(self, words: str) -> None:
        """It ends. Signs of life go on while it does."""
        self._tell("STOPPING=1", f"STATUS={words}")

    def gone(self) -> None:
        """Nothing more is to be said."""
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _sign_of_life(self) -> None:
        self._tell("WATCHDOG=1")
        self._next = self._clock.callLater(self._interval, self._sign_of_life)

    def _tell(self, *words: str) -> None:
        if self._place:
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
                speaker.setblocking(False)
                speaker.sendto("\n".join(words).encode(), self._place)


def _address(place: str) -> str:
    """The address of the socket; a leading "@" stands for a name that is in no file system."""
    return "\0" + place[1:] if place.startswith("@") else place


def _watchdog(environment: Mapping[str, str]) -> float:
    """Seconds between signs of life; 0 when nobody waits for them."""
    microseconds, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or pid not in ("", str(os.getpid())):
        return 0.0
    return int(microseconds) / 2e6
