"""Answers of the host that takes mail for a tenant, to whom an inbound connector shall know.

It relays for those it attributes to a tenant. To others it is the tenant's way in for mail from
anywhere, and says so in words of 5yz. None of that is the fault of a message.

Sources: Microsoft's "550 5.7.64 TenantAttribution when sending mail externally", "Configure a
certificate-based connector to relay email messages", "Updated requirements for SMTP relay through
Exchange Online" and "Introducing more control over Direct Send in Exchange Online".
"""

from __future__ import annotations

from typing import Final

from m365gw.microsoft.diagnosis import Diagnosis
from m365gw.microsoft.reactions import HOUR, Scope, hold, stop
from m365gw.microsoft.rows import ANYWHERE, SENDING, Row

_unknown = Diagnosis(
    "connector-unknown",
    "Microsoft does not relay for <mailbox>: no inbound connector of the tenant <tenant> matches.",
    "The certificate has another name than the connector, has ended, is of no authority Microsoft"
    " trusts, or its chain is not whole; or this machine comes from another address; or the"
    " connector is switched off; or the sender is of no accepted domain of the tenant.",
    "m365gw doctor <mailbox> shows what is sent from here; compare it: Get-InboundConnector | fl"
    " Name, Enabled, ConnectorType, TlsSenderCertificateName, SenderIPAddresses. m365gw script"
    " connector makes the connector. A change takes up to an hour.",
    "exchange-admin",
)
_foreign_sender = Diagnosis(
    "connector-foreign-sender",
    "Microsoft does not accept <sender> as a sender of the tenant <tenant>.",
    "Its domain is no accepted domain of the tenant. (If no connector knew this gateway, senders of"
    " the domain of <mailbox> would be refused too.)",
    "Take it out of the rule that lets it send by <mailbox>, or add the domain: Microsoft 365 admin"
    " centre > Settings > Domains > Add domain.",
    "exchange-admin",
)
_restricted = Diagnosis(
    "connector-restricted",
    "An inbound connector of the tenant <tenant> takes no mail from here.",
    "A partner connector is restricted to certain addresses or a certificate"
    " (RestrictDomainsToIPAddresses, RestrictDomainsToCertificate), and this machine is none of"
    " them.",
    "Get-InboundConnector | fl Name, ConnectorType, SenderDomains, RestrictDomains*. Make a"
    " connector of type OnPremises for this gateway (m365gw script connector), or add its address.",
    "exchange-admin",
)
_direct_send = Diagnosis(
    "direct-send-refused",
    "The tenant <tenant> takes no mail in its own name from unknown senders.",
    "RejectDirectSend is on, and no inbound connector matches what this gateway shows.",
    "Leave RejectDirectSend on; mend the connector: Get-InboundConnector | fl Name, Enabled,"
    " TlsSenderCertificateName, SenderIPAddresses",
    "exchange-admin",
)
_elsewhere = Diagnosis(
    "connector-region",
    "The host belongs to another region than the tenant <tenant>.",
    "mx of <mailbox> is not the host of the tenant's own MX record, or mail is attributed to"
    " another tenant.",
    "Set mx of <mailbox> to the host of the tenant's MX record (Microsoft 365 admin centre >"
    " Settings > Domains > the domain > DNS records).",
    "operator",
)
_listed = Diagnosis(
    "address-listed",
    "Microsoft takes no mail from the address of this machine: it is on a block list.",
    "On port 25 the address counts. Those of homes and clouds are listed without a cause.",
    "The answer names the list and where to ask for removal. Or send from another public address.",
    "operator",
)

UNKNOWN: Final = hold(Scope.MAILBOX, _unknown)
FOREIGN_SENDER: Final = hold(Scope.SENDER, _foreign_sender)  # UNKNOWN, where it is the sender's

ROWS: Final = (
    Row(SENDING, UNKNOWN, words=("tenantattribution",)),
    Row(SENDING, hold(Scope.MAILBOX, _direct_send), words=("direct send not allowed",)),
    Row(SENDING, hold(Scope.MAILBOX, _restricted), words=("tenantinboundattribution",)),
    Row(ANYWHERE, stop(Scope.HOST, HOUR, _listed, alarm=True), words=("blocked using",)),
    Row(SENDING, UNKNOWN, status=("5.7.64",)),
    Row(SENDING, hold(Scope.MAILBOX, _restricted), status=("5.7.51",)),
    Row(SENDING, hold(Scope.MAILBOX, _direct_send), status=("5.7.68",)),
    Row(SENDING, hold(Scope.MAILBOX, _elsewhere), status=("4.4.62",)),
)
