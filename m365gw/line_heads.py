"""How a plain line of the log begins: as syslog has it, or as the journal of systemd wants it.

The journal keeps time, host and level of each line by itself. A line that goes there begins with
its priority alone, `<6>` (sd-daemon(3)), which the journal takes off again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

_PRIORITIES = {"debug": "<7>", "info": "<6>", "warn": "<4>", "error": "<3>"}


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
