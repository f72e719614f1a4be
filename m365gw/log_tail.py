"""The end of the log, kept in memory: what was written lately, to be looked at and searched.

Fed with every event that is written (`EventLog.readers`), bounded, and gone with the process; the
log itself has all of it. Nothing secret is in it, as nothing secret is ever logged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from attrs import field, frozen

from m365gw.log_lines import LEVELS, Line, cleaned

KEPT: Final = 5000  # events: a few megabytes

Fields = list[tuple[str, object]]


@frozen
class Entry:
    """One event. `number` counts them since the start; `at` is in seconds since the epoch."""

    number: int
    at: float
    level: str
    program: str
    event: str
    queue_id: str
    note: str
    fields: Fields = field(factory=list)

    @property
    def words(self) -> str:
        """What is said, on one line and harmless."""
        parts = [f"{name}={cleaned(value)}" for name, value in self.fields if value != ""]
        said = ", ".join(parts)
        note = cleaned(self.note)
        return f"{said} ({note})" if said and note else said or note

    def get(self, *names: str) -> Iterator[str]:
        """The values of these fields."""
        return (str(value) for name, value in self.fields if name in names)


@frozen
class Filter:
    """What is looked for; what is "" is not asked for."""

    level: str = ""  # this one and graver ones
    program: str = ""
    message: str = ""  # a queue id, or the beginning of one
    client: str = ""  # an address or a login
    mailbox: str = ""
    text: str = ""

    def fits(self, entry: Entry) -> bool:
        """Whether an event is one of these."""
        return (
            LEVELS[entry.level] >= LEVELS.get(self.level, 0)
            and self.program in ("", entry.program)
            and entry.queue_id.startswith(self.message.upper())
            and _holds(entry, self.client, "client", "sasl_username", "login", "via")
            and _holds(entry, self.mailbox, "mailbox", "subject", "account")
            and (not self.text or self.text.casefold() in f"{entry.event} {entry.words}".casefold())
        )


class LogTail:
    """The last events."""

    def __init__(self, kept: int = KEPT) -> None:
        self._entries: deque[Entry] = deque(maxlen=kept)
        self.count = 0  # events so far

    def heard(self, line: Line) -> None:
        """A line was written (`EventLog.readers`)."""
        self.count += 1
        self._entries.append(Entry(self.count, *line))

    def last(self, wanted: Filter, most: int, seen: int = 0) -> list[Entry]:
        """The last events that fit, the oldest first, at most so many; only those behind `seen`."""
        found: list[Entry] = []
        for entry in reversed(self._entries):
            if entry.number <= seen or len(found) >= most:
                break
            if wanted.fits(entry):
                found.append(entry)
        return found[::-1]

    @property
    def programs(self) -> list[str]:
        """The programs that wrote something lately."""
        return sorted({entry.program for entry in self._entries})


def _holds(entry: Entry, wanted: str, *names: str) -> bool:
    if not wanted:
        return True
    return any(wanted.casefold() in value.casefold() for value in entry.get(*names))
