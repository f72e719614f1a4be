"""The script that makes the inbound connector of a tenant for the gateway, and its undo.

Made of constant parts as the other one (`script`). Pure but for reading them. Failures: ValueError
for what no script can be written for.
"""

from __future__ import annotations

from typing import Final

from attrs import field, frozen

from m365gw.microsoft.powershell import array, literal
from m365gw.microsoft.setup_script.plan import ENVIRONMENTS
from m365gw.microsoft.setup_script.script import assembled

_SET_UP: Final = ("connector-connect", "connector", "connector-verify")
_UNDO: Final = ("connector-connect", "undo-connector")


@frozen(kw_only=True)
class ConnectorPlan:
    """What the connector is to know the gateway by, and the domains it sends as.

    certificate_name   the name in the certificate that is shown; "": by `addresses`
    addresses          the public IPv4 addresses the gateway comes from
    """

    domains: tuple[str, ...]
    certificate_name: str = ""
    addresses: tuple[str, ...] = field(default=())
    cloud: str = "worldwide"
    what_if: bool = False

    @addresses.validator
    def _known_by_one(self, attribute: object, value: tuple[str, ...]) -> None:
        if not value and not self.certificate_name:
            raise ValueError("a connector that goes by addresses needs one: --address IP")

    @property
    def name(self) -> str:
        """What the connector is called in the tenant."""
        return f"m365gw {self.certificate_name or self.addresses[0]}"


def render_connector(plan: ConnectorPlan) -> str:
    """The script that makes it; running it again sets it anew."""
    return assembled("connector-head", _values(plan), _SET_UP)


def render_connector_undo(plan: ConnectorPlan) -> str:
    """The script that removes it."""
    return assembled("undo-connector-head", _values(plan), _UNDO)


def _values(plan: ConnectorPlan) -> dict[str, str]:
    return {
        "ConnectorName": literal(plan.name),
        "Domains": array(plan.domains),
        "CertificateName": literal(plan.certificate_name),
        "Addresses": array(plan.addresses),
        "ExchangeEnvironment": literal(ENVIRONMENTS[plan.cloud].exchange),
        "ShowFirst": f"${'true' if plan.what_if else 'false'}",
    }
