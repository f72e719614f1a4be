"""What a line of the log looks like: as Postfix writes it, or as JSON with fixed keys.

    Nov 21 04:15:34 relay m365gw/smtp[812]: 4Q7B...: to=<a@b.c>, dsn=2.0.0, status=sent (250 OK)
    {"ts": "2026-11-21T04:15:34.120Z", "level": "info", "event": "delivery", "qid": ...}

The journal of systemd keeps time, host and level of each line by itself. A plain line that goes
there begins with its priority alone, `<6>` (sd-daemon(3)), which the journal takes off again.

Values come from outside, so control characters, line separators and overlong values are made
harmless here. Pure; nothing fails.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

LEVELS = {"debug": 0, "info": 1, "warn": 2, "error": 3}
LONGEST_VALUE = 1000  # characters; a remote reply may be far longer

# C0 and C1 controls, DEL, bidirectional controls, the Unicode line separators; and lone surrogates,
# which no stream can write: one would cost all lines that are written with it.
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_ADDRESS_FIELDS = frozenset({"from", "to", "orig_to"})
_PRIORITIES = {"debug": "<7>", "info": "<6>", "warn": "<4>", "error": "<3>"}

# How a plain line begins, at a time (seconds since the epoch) and of a level.
Head = Callable[[float, str], str]


class Line(NamedTuple):  # and no attrs class, as a message makes several and each costs
    """What a line is made of. `at` is in seconds since the epoch."""

    at: float
    level: str
    program: str
    event: str
    queue_id: str  # "" for none
    note: str
    fields: list[tuple[str, object]]


def cleaned(value: object) -> str:
    """A value as harmless text on one line: `?` for each unsafe character, cut when very long."""
    text = str(value)
    if len(text) > LONGEST_VALUE:
        text = text[:LONGEST_VALUE] + "..."
    return text if text.isprintable() else _UNSAFE.sub("?", text)


def as_plain(line: Line, head: Head) -> str:
    """The line as Postfix writes it."""
    said = _said(line.fields, line.note)
    if len(said) > LONGEST_VALUE or not said.isprintable():  # seldom: then value by value
        said = _said([(key, cleaned(value)) for key, value in line.fields], cleaned(line.note))
    if line.event.startswith("incident."):
        said = f"{line.event}: {said}"
    if line.level in ("warn", "error"):
        said = f"{'warning' if line.level == 'warn' else 'error'}: {said}"
    place = f"{line.queue_id}: " if line.queue_id else ""
    return f"{head(line.at, line.level)}m365gw/{line.program}[{os.getpid()}]: {place}{said}\n"


def as_json(line: Line) -> str:
    """The line as one JSON object."""
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(line.at))
    record: dict[str, Any] = {
        "ts": f"{seconds}.{int(line.at % 1 * 1000):03d}Z",
        "level": line.level,
        "event": line.event,
        "program": line.program,
    }
    if line.queue_id:
        record["qid"] = line.queue_id
    for key, value in line.fields:
        is_number = isinstance(value, int | float)
        record[key] = value if is_number else cleaned(value)
    if line.note:
        record["note"] = cleaned(line.note)
    return json.dumps(record, ensure_ascii=False) + "\n"


def _said(fields: list[tuple[str, object]], note: str) -> str:
    """What a plain line says: the fields, and the note behind them in brackets."""
    parts = [
        f"{key}=<{value}>" if key in _ADDRESS_FIELDS else f"{key}={value}" for key, value in fields
    ]
    said = ", ".join(parts)
    if not note:
        return said
    return f"{said} ({note})" if said else note


class SyslogHead:
    """Time and host, as syslog writes them: "Nov 21 04:15:34 relay "."""

    def __init__(self, hostname: str) -> None:
        self._hostname = hostname
        self._made = (-1, "")

    def __call__(self, now: float, level: str) -> str:
        """The head of a line; made once a second, as thousands of lines share it."""
        second = int(now)
        if second != self._made[0]:
            when = time.strftime("%b %e %H:%M:%S", time.localtime(second))
            self._made = (second, f"{when} {self._hostname} ")
        return self._made[1]


def journal_head(now: float, level: str) -> str:
    """The priority of a line."""
    return _PRIORITIES[level]


def is_journal(stream: Any, environment: Mapping[str, str]) -> bool:
    """Whether what is written to a stream goes to the journal itself.

    JOURNAL_STREAM has the device and the inode of what systemd connected to it (systemd.exec(5)).
    """
    try:
        seen = os.fstat(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{seen.st_dev}:{seen.st_ino}"
