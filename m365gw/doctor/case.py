"""What is under examination: one mailbox, or the gateway as a whole.

A mailbox's case is what is configured, and what the checks have learnt so far: a check reads what
those before it have left here. The token stays inside; no repr shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import define, field

from m365gw.config.settings import Mailbox, Settings
from m365gw.doctor.finding import Finding
from m365gw.doctor.tools import Tools
from m365gw.microsoft.clouds import Cloud
from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.remedies import Remedy, remedy_for
from m365gw.relay.exit.connection import Connection

HTTPS_PORT: Final = 443


@define
class Gateway:
    """The gateway, for the checks that are about no mailbox."""

    settings: Settings
    tools: Tools


@define
class Case:
    """One mailbox. `send`: whether real messages may be sent (D11)."""

    settings: Settings
    mailbox: Mailbox
    cloud: Cloud
    tools: Tools
    send: bool = False
    findings: dict[str, Finding] = field(factory=dict)  # by the id of the check
    addresses: tuple[str, ...] = ()  # of the submission host
    visit: Any = None  # doctor.visit.Visit, from D04 to D06
    token: str = field(default="", repr=False)
    claims: Mapping[str, Any] = field(factory=dict, repr=False)  # of the token; not trusted
    session: Connection | None = field(default=None, repr=False)  # signed in by D09

    @property
    def host_and_port(self) -> tuple[str, int]:
        """The host that takes the mail, and its port: by SMTP, or by Graph."""
        if not self.is_graph:
            return self.cloud.smtp_host, self.cloud.smtp_port
        parts = urlsplit(self.cloud.graph)
        return parts.hostname or "", parts.port or HTTPS_PORT

    @property
    def is_graph(self) -> bool:
        """Whether its mail leaves by Graph and not by SMTP."""
        return str(self.mailbox.exit) == "graph"

    @property
    def is_connector(self) -> bool:
        """Whether it leaves by an inbound connector: there is no sign-in, and no mailbox."""
        return not self.mailbox.has_token

    @property
    def names(self) -> dict[str, str]:
        """What stands for the placeholders of the tables."""
        mailbox = self.mailbox
        return {
            "mailbox": mailbox.address,
            "tenant": mailbox.tenant,
            "client id": mailbox.client_id,
        }

    def named(self, diagnosis: Diagnosis, sender: str = "") -> Diagnosis:
        """A diagnosis of the tables with the real names."""
        mailbox = self.mailbox
        return diagnosis.about(
            mailbox=mailbox.address,
            sender=sender,
            tenant=mailbox.tenant,
            client_id=mailbox.client_id,
        )

    def remedy(self, diagnosis: Diagnosis, sender: str = "") -> Remedy:
        """Its steps with the real names."""
        names = {**self.names, **({"sender": sender} if sender else {})}
        return remedy_for(self.named(diagnosis, sender), names)

    def senders(self) -> tuple[list[str], list[str]]:
        """Addresses the rules let through this mailbox, itself first; and patterns among them."""
        settings = self.settings
        rules = (*settings.client, *settings.network, *settings.local)
        listed = [
            sender
            for rule in rules
            if rule.mailbox.casefold() == self.mailbox.address.casefold()
            for sender in (*rule.senders, rule.default_from)
            if sender and sender != "<>"
        ]
        known = dict.fromkeys([self.mailbox.address, *listed])
        return [s for s in known if "*" not in s], [s for s in known if "*" in s]

    async def let_go(self) -> None:
        """End what is open, in good order. Raises nothing."""
        if self.visit is not None:
            self.visit.close()
        if self.session is not None:
            await self.session.quit()
