"""Which report told the sender of a message that it is delayed, as the file of the message says it.

    X-M365GW-Warning: - -------------    none
    X-M365GW-Warning: N 4Q7BX2K9M3PDW    this report is being made
    X-M365GW-Warning: W 4Q7BX2K9M3PDW    it was made, and is durable

The line is overwritten in place.
"""

from __future__ import annotations

import re

from attrs import frozen

NO_WARNING = b"X-M365GW-Warning: - -------------\r\n"

_WARNING = re.compile(rb"X-M365GW-Warning: ([NW]) ([0-9A-Z]{13})\r\n")


@frozen
class DelayWarning:
    """The report that tells the sender of a delay, by its queue id; `is_made`: it is durable."""

    report: str
    is_made: bool


def render_warning(warning: DelayWarning) -> bytes:
    """The line; always of the same length."""
    letter = b"W" if warning.is_made else b"N"
    return b"X-M365GW-Warning: %s %s\r\n" % (letter, warning.report.encode("ascii"))


def parse_warning(line: bytes) -> DelayWarning | None:
    """The warning, None for none: also when a power loss left half of one."""
    found = _WARNING.fullmatch(line)
    return DelayWarning(found[2].decode("ascii"), found[1] == b"W") if found else None
