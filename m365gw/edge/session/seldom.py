"""What happens a thousand times in a minute, told once: an attack must not fill the log.

The first of each kind is told at once, with its client; the next one a minute later or more, with
the number of those between.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from attrs import define
from twisted.internet.interfaces import IReactorTime

from m365gw.events import EventLog

TOLD_AGAIN: Final = 60.0  # seconds
MOST_KINDS: Final = 1000  # remembered; then all are told anew


@define
class _Told:
    at: float
    held_back: int = 0


class Seldom:
    """Warns in the log, of each kind of thing once a minute."""

    def __init__(self, log: EventLog, clock: IReactorTime) -> None:
        self._log = log
        self._clock = clock
        self._told: dict[Hashable, _Told] = {}

    def warn(self, kind: Hashable, event: str, note: str, **facts: str) -> None:
        """One more of its kind has happened."""
        now, told = self._clock.seconds(), self._told.get(kind)
        if told is not None and now < told.at + TOLD_AGAIN:
            told.held_back += 1
            self._log.count(event, **facts)
            return
        if told is not None and told.held_back:
            note += f" ({told.held_back} more like this since it was last told)"
        if len(self._told) >= MOST_KINDS:
            self._told.clear()
        self._told[kind] = _Told(now)
        self._log.emit(event, "smtpd", level="warn", note=note, **facts)
