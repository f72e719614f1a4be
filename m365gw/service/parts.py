"""The parts of one running gateway, for those who need to reach most of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import frozen

from m365gw.config.settings import Settings
from m365gw.events import EventLog
from m365gw.incidents import Incidents
from m365gw.service.directory import Directory
from m365gw.service.drain import Drain
from m365gw.service.incident_desk import IncidentDesk
from m365gw.service.mail_in import MailIn
from m365gw.service.mail_out import MailOut
from m365gw.service.reload import Reload
from m365gw.spool.spool import Spool


@frozen(kw_only=True)
class Parts:
    """What the gateway is made of, once it is built."""

    spool: Spool
    directory: Directory
    mail_in: MailIn
    mail_out: MailOut
    desk: IncidentDesk
    drain: Drain
    reload: Reload
    incidents: Incidents
    reactor: Any
    log: EventLog
    config: Path  # the file of the configuration

    @property
    def settings(self) -> Settings:
        """Those that hold now."""
        return self.reload.settings
