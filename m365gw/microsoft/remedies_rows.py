"""The shape of the tables of remedies. Templates may hold <mailbox>, <sender>, <tenant> and
<client id>; in PowerShell each of them becomes a quoted string.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

AT_ONCE: Final = "at once"
MINUTES: Final = "a few minutes"
HOUR: Final = "up to an hour"
TWO_HOURS: Final = "up to two hours"


@frozen
class Steps:
    """The way through the portal, the PowerShell line, and the time until it works."""

    portal: str = ""
    powershell: str = ""
    takes: str = ""
