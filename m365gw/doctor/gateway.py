"""The gateway as a whole under examination, for the checks that are about no mailbox."""

from __future__ import annotations

from attrs import define

from m365gw.config.settings import Settings
from m365gw.doctor.tools import Tools


@define
class Gateway:
    """Its settings, and what it is examined with."""

    settings: Settings
    tools: Tools
