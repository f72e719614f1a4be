"""Steps for what an Exchange administrator mends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from m365gw.microsoft.remedies_rows import AT_ONCE, HOUR, MINUTES, TWO_HOURS, Steps

_MAIL_APPS: Final = (
    "Microsoft 365 admin centre (admin.microsoft.com) > Users > Active users > <mailbox> > Mail"
    " > Manage email apps > tick Authenticated SMTP > Save changes"
)
_MAILBOX: Final = "Exchange admin centre (admin.exchange.microsoft.com) > Recipients > Mailboxes"

SMTP_AUTH: Final = Steps(
    _MAIL_APPS,
    "Set-CASMailbox -Identity <mailbox> -SmtpClientAuthenticationDisabled $false",
    HOUR,
)
SERVICE_PRINCIPAL: Final = Steps(
    "Entra admin centre (entra.microsoft.com) > Identity > Applications > Enterprise applications"
    " > the app with application id <client id> > Overview > Object ID: this one, not that of the"
    " App registration, belongs into New-ServicePrincipal",
    "Get-ServicePrincipal | Where-Object AppId -eq <client id> | Format-List AppId, ObjectId",
    TWO_HOURS,
)
FULL_ACCESS: Final = Steps(
    "",  # the portal offers only people here
    "Add-MailboxPermission -Identity <mailbox> -User (Get-ServicePrincipal | Where-Object AppId -eq"
    " <client id>).Identity -AccessRights FullAccess",
    TWO_HOURS,
)
ROLE_IN_SCOPE: Final = Steps(
    "",
    "Test-ServicePrincipalAuthorization -Identity (Get-ServicePrincipal | Where-Object AppId -eq"
    " <client id>).Identity -Resource <mailbox>",
    TWO_HOURS,
)
LICENCE: Final = Steps(
    "Microsoft 365 admin centre > Users > Active users > <mailbox> > Licenses and apps > tick a"
    " licence with Exchange Online (a shared mailbox needs none)",
    "Get-Mailbox -Identity <mailbox> | Format-List PrimarySmtpAddress, RecipientTypeDetails",
    HOUR,
)
SEND_AS: Final = Steps(
    f"{_MAILBOX} > <sender> > Delegation > Send as > Edit > add <mailbox>",
    "Add-RecipientPermission -Identity <sender> -Trustee <mailbox> -AccessRights SendAs"
    " -Confirm:$false",
    HOUR,
)
# An app is no person, so the portal does not offer it.
SEND_AS_FOR_APP: Final = Steps(
    "",
    "Add-RecipientPermission -Identity <sender> -Trustee (Get-ServicePrincipal | Where-Object AppId"
    " -eq <client id>).Identity -AccessRights SendAs -Confirm:$false",
    TWO_HOURS,
)
ALIAS: Final = Steps(
    "Exchange admin centre > Settings > Mail flow > Turn on sending from aliases",
    "Set-OrganizationConfig -SendFromAliasEnabled $true",
    HOUR,
)

ADD_DOMAIN: Final = Steps(
    "Microsoft 365 admin centre > Settings > Domains > Add domain",
    "Get-AcceptedDomain | Format-Table DomainName, DomainType",
    HOUR,
)
CONNECTOR: Final = Steps(
    "Exchange admin centre > Mail flow > Connectors > the one from your organization's email server"
    " > How to identify your partner organization or email server",
    "Get-InboundConnector | Format-List Name, Enabled, ConnectorType, TlsSenderCertificateName,"
    " SenderIPAddresses, RestrictDomains*",
    HOUR,
)

STEPS: Final[Mapping[str, Steps]] = {
    "connector-unknown": CONNECTOR,
    "connector-restricted": CONNECTOR,
    "direct-send-refused": CONNECTOR,
    "smtp-auth-disabled-tenant": SMTP_AUTH,
    "smtp-auth-disabled-mailbox": SMTP_AUTH,
    "session-not-signed-in": SMTP_AUTH,
    "auth-unsuccessful": FULL_ACCESS,
    "unknown-auth-refused": FULL_ACCESS,
    "mailbox-logon-failure": FULL_ACCESS,
    "mailbox-proxy-error": LICENCE,
    "xoauth2-malformed": Steps("", "Add-HVEAppAccess -Identity <mailbox>", MINUTES),
    "send-as-denied": SEND_AS,
    "connector-foreign-sender": ADD_DOMAIN,
    "sender-domain-unregistered": ADD_DOMAIN,
    "mailbox-restricted": Steps(
        "Microsoft Defender portal (security.microsoft.com) > Email & collaboration > Review"
        " > Restricted entities > <mailbox> > Unblock",
        "Remove-BlockedSenderAddress -SenderAddress <mailbox>",
        HOUR,
    ),
    "sender-banned": Steps(
        "Microsoft 365 admin centre > Support > New service request",
        "Get-BlockedSenderAddress",
        "as long as the support case",
    ),
    "tenant-blocked": Steps(
        "Microsoft Defender portal > Email & collaboration > Review > Restricted entities; then"
        " Microsoft 365 admin centre > Support > New service request",
        "Get-BlockedSenderAddress",
        "a day or more",
    ),
    "tenant-ip-not-accepted": Steps(
        "Microsoft 365 admin centre > Support > New service request",
        "Get-OrganizationConfig | Format-List Name, IsDehydrated",
        "as long as the support case",
    ),
    "mailbox-full": Steps(
        f"{_MAILBOX} > <mailbox> > Others > Mailbox usage; and Microsoft Purview > Data lifecycle"
        " management > Retention policies, for Sent Items",
        "Get-MailboxFolderStatistics -Identity <mailbox> -FolderScope SentItems"
        " | Format-Table Name, FolderSize, ItemsInFolder",
        MINUTES,
    ),
    "tenant-quota": Steps(
        "Exchange admin centre > Reports > Mail flow > Tenant outbound external recipients",
        "Get-LimitsEnforcementStatus",
        "up to 24 hours, as the window moves on",
    ),
    "recipient-blocked-by-tenant": Steps(
        "Microsoft Defender portal > Email & collaboration > Policies & rules > Threat policies"
        " > Tenant Allow/Block Lists",
        "Get-TenantAllowBlockListItems -ListType Sender -Block",
        MINUTES,
    ),
    "transport-rule": Steps(
        "Exchange admin centre > Mail flow > Rules",
        "Get-TransportRule | Format-Table Name, State, Priority",
        "up to half an hour",
    ),
    "too-many-recipients": Steps(
        f"{_MAILBOX} > <mailbox> > Mailbox > Recipient limit",
        "Set-Mailbox -Identity <mailbox> -RecipientLimits 500",
        AT_ONCE,
    ),
}
