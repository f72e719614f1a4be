"""What a session is given: the doorway it stands in, and the peer that came through it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from m365gw.config.limits import Limits
from m365gw.config.settings import Listener
from m365gw.edge.admission.admission import Admission
from m365gw.edge.login.authentication import Authenticator
from m365gw.edge.receiving.intake import Intake
from m365gw.events import EventLog


@frozen(eq=False)
class Doorway:
    """One listener, and all that its sessions work with."""

    listener: Listener
    hostname: str
    limits: Limits
    admission: Admission
    authenticator: Authenticator
    intake: Intake
    log: EventLog


@frozen
class Peer:
    """Who is connected. `host` is "" where there is no address, `tls` is "" without TLS."""

    host: str
    port: int
    tls: str
    facts: Mapping[str, str]  # who it is, as each line of the log shows it
