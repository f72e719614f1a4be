"""What a set-up script is to set up: plain values, checked."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final, Literal

from attrs import field, frozen

Mode = Literal["certificate", "secret", "federated", "web", "device"]
Exit = Literal["smtp", "graph"]
MODES: Final[tuple[Mode, ...]] = ("certificate", "secret", "federated", "web", "device")

_ID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,60}")


@frozen
class Environment:
    """How the PowerShell modules call a cloud."""

    graph: str  # Connect-MgGraph -Environment
    exchange: str  # Connect-ExchangeOnline -ExchangeEnvironmentName
    scoped_smtp: bool  # whether there is a role "Application SMTP.SendAsApp": world-wide only


ENVIRONMENTS: Final = MappingProxyType(
    {
        "worldwide": Environment("Global", "O365Default", scoped_smtp=True),
        "gcc-high": Environment("USGov", "O365USGovGCCHigh", scoped_smtp=False),
        "dod": Environment("USGovDoD", "O365USGovDoD", scoped_smtp=False),
        "china": Environment("China", "O365China", scoped_smtp=False),
    }
)


@frozen(kw_only=True)
class Plan:
    """One app for these mailboxes. ValueError for what no script can be written for.

    client_id     of an app that is there already; "": it is found by its name, or made
    certificate   the public certificate, base64 of its DER; "": the script asks for a file
    redirect_uri  for mode web; "": the script asks for it
    what_if       whether the script only shows what it would do, unless told otherwise
    """

    mode: Mode
    mailboxes: tuple[str, ...] = field()
    tenant: str
    client_id: str = field(default="")
    app_name: str = field(default="m365gw")
    exit: Exit = "smtp"
    cloud: str = field(default="worldwide")
    certificate: str = ""
    redirect_uri: str = ""
    what_if: bool = False

    @mailboxes.validator
    def _some(self, attribute: object, value: tuple[str, ...]) -> None:
        if not value:
            raise ValueError("There is no mailbox to set up.")

    @client_id.validator
    def _id(self, attribute: object, value: str) -> None:
        if value and not _ID.fullmatch(value):
            raise ValueError(f'"{value}" is no application (client) id.')

    @app_name.validator
    def _plain(self, attribute: object, value: str) -> None:
        if not _NAME.fullmatch(value):
            raise ValueError(f'"{value}" cannot be the name of an app: letters, digits, ". _-".')

    @cloud.validator
    def _known(self, attribute: object, value: str) -> None:
        if value not in ENVIRONMENTS:
            known = ", ".join(ENVIRONMENTS)
            raise ValueError(f'PowerShell knows no cloud "{value}". It knows {known}.')

    @property
    def environment(self) -> Environment:
        """How the modules call its cloud."""
        return ENVIRONMENTS[self.cloud]

    @property
    def is_delegated(self) -> bool:
        """Whether a person signs in; else the app does so by itself."""
        return self.mode in ("web", "device")

    @property
    def is_scoped(self) -> bool:
        """Whether the right comes from a role in Exchange that is scoped to the mailboxes."""
        return not self.is_delegated and (self.exit == "graph" or self.environment.scoped_smtp)
