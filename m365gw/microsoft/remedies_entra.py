"""Steps for what an Entra administrator mends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from m365gw.microsoft.remedies_rows import AT_ONCE, HOUR, MINUTES, TWO_HOURS, Steps

_REGISTRATION: Final = (
    "Entra admin centre (entra.microsoft.com) > Identity > Applications > App registrations > All"
    " applications > the app with application id <client id>"
)
_ENTERPRISE: Final = (
    "Entra admin centre > Identity > Applications > Enterprise applications > the app with"
    " application id <client id>"
)
_SIGN_IN_LOG: Final = (
    "Entra admin centre > Identity > Monitoring & health > Sign-in logs > the failed sign-in of"
    " <mailbox> > tab Conditional Access names the policy; then Protection > Conditional Access >"
    " Policies > that policy > Users > Exclude"
)
# The two ways to find an app by its application id; the quotes are part of the filter's language.
_APP: Final = '$app = Get-MgApplication -Filter ("appId eq \'" + <client id> + "\'"); '
_PRINCIPAL: Final = '$sp = Get-MgServicePrincipal -Filter ("appId eq \'" + <client id> + "\'"); '
_POLICIES: Final = (
    "Get-MgIdentityConditionalAccessPolicy | Where-Object State -eq enabled"
    " | Format-Table DisplayName, Id"
)

SMTP_PERMISSION: Final = Steps(
    f"{_REGISTRATION} > API permissions > Add a permission > APIs my organization uses > Office 365"
    " Exchange Online > Application permissions > SMTP.SendAsApp > Add permissions; then Grant"
    " admin consent",
    f"{_PRINCIPAL}$exo = Get-MgServicePrincipal -Filter"
    " \"appId eq '00000002-0000-0ff1-ce00-000000000000'\"; "
    "New-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $sp.Id -PrincipalId $sp.Id"
    " -ResourceId $exo.Id -AppRoleId"
    " ($exo.AppRoles | Where-Object Value -eq 'SMTP.SendAsApp').Id",
    TWO_HOURS,
)
CONSENT: Final = Steps(
    f"{_REGISTRATION} > API permissions > Grant admin consent for the organisation > Yes",
    f"{_PRINCIPAL}Get-MgServicePrincipalOauth2PermissionGrant -ServicePrincipalId $sp.Id"
    " | Format-List Scope, ConsentType",
    MINUTES,
)
SECRET: Final = Steps(
    f"{_REGISTRATION} > Certificates & secrets > Client secrets > New client secret; copy the"
    " column Value (not Secret ID) into the file of client_secret_file",
    f"{_APP}Add-MgApplicationPassword -ApplicationId $app.Id",
    MINUTES,
)
CERTIFICATE: Final = Steps(
    f"{_REGISTRATION} > Certificates & secrets > Certificates > Upload certificate: the public"
    " certificate of the gateway",
    f"{_APP}$app.KeyCredentials | Format-Table DisplayName, EndDateTime, KeyId",
    MINUTES,
)
PUBLIC_FLOWS: Final = Steps(
    f"{_REGISTRATION} > Authentication > Advanced settings > Allow public client flows > Yes >"
    " Save",
    f"{_APP}Update-MgApplication -ApplicationId $app.Id -IsFallbackPublicClient:$true",
    MINUTES,
)
POLICY: Final = Steps(_SIGN_IN_LOG, _POLICIES, MINUTES)
SECURITY_DEFAULTS: Final = Steps(
    "Entra admin centre > Identity > Overview > Properties > Manage security defaults",
    "Get-MgPolicyIdentitySecurityDefaultEnforcementPolicy | Format-List IsEnabled",
    HOUR,
)

STEPS: Final[Mapping[str, Steps]] = {
    "app-permission-missing": SMTP_PERMISSION,
    "app-disabled": Steps(
        f"{_ENTERPRISE} > Properties > Enabled for users to sign in? > Yes > Save",
        f"{_PRINCIPAL}Update-MgServicePrincipal -ServicePrincipalId $sp.Id -AccountEnabled:$true",
        MINUTES,
    ),
    "app-unknown": Steps(
        f"{_REGISTRATION} > Overview shows Application (client) ID and Directory (tenant) ID",
        'Get-MgApplication -Filter ("appId eq \'" + <client id> + "\'")'
        " | Format-List DisplayName, AppId",
        AT_ONCE,
    ),
    "tenant-unknown": Steps(
        "Entra admin centre > Identity > Overview shows Tenant ID and Primary domain",
        "Get-MgOrganization | Format-List Id, VerifiedDomains",
        AT_ONCE,
    ),
    "secret-wrong": SECRET,
    "secret-expired": SECRET,
    "app-credential-refused": SECRET,
    "certificate-unknown": CERTIFICATE,
    "app-not-public": PUBLIC_FLOWS,
    "flow-not-allowed": PUBLIC_FLOWS,
    "redirect-mismatch": Steps(
        f"{_REGISTRATION} > Authentication > Web > Redirect URIs > Add URI: the gateway's public"
        " address followed by /auth/callback",
        f"{_APP}$app.Web.RedirectUris",
        MINUTES,
    ),
    "consent-missing": CONSENT,
    "admin-consent-needed": CONSENT,
    "conditional-access-blocked": POLICY,
    "auth-criteria": POLICY,
    "device-not-compliant": POLICY,
    "security-policy-blocked": SECURITY_DEFAULTS,
    "security-defaults": SECURITY_DEFAULTS,
    "account-locked": Steps(
        "Entra admin centre > Identity > Monitoring & health > Sign-in logs > User: <mailbox>"
        " shows who tries; Protection > Risky users > <mailbox> > Dismiss user risk",
        'Get-MgAuditLogSignIn -Top 20 -Filter ("userPrincipalName eq \'" + <mailbox> + "\'")',
        HOUR,
    ),
    "account-disabled": Steps(
        "Entra admin centre > Identity > Users > All users > <mailbox> > Edit properties >"
        " Settings > Account enabled > Save",
        "Update-MgUser -UserId <mailbox> -AccountEnabled:$true",
        MINUTES,
    ),
    "user-not-assigned": Steps(
        f"{_ENTERPRISE} > Users and groups > Add user/group > <mailbox> > Assign",
        f"{_PRINCIPAL}New-MgServicePrincipalAppRoleAssignedTo -ServicePrincipalId $sp.Id"
        " -ResourceId $sp.Id -PrincipalId (Get-MgUser -UserId <mailbox>).Id"
        " -AppRoleId 00000000-0000-0000-0000-000000000000",
        MINUTES,
    ),
    "federation-unknown": Steps(
        f"{_REGISTRATION} > Certificates & secrets > Federated credentials > Add credential >"
        " Other issuer: issuer and subject as the gateway's platform states them, audience"
        " api://AzureADTokenExchange",
        f"{_APP}Get-MgApplicationFederatedIdentityCredential -ApplicationId $app.Id"
        " | Format-List Name, Issuer, Subject, Audiences",
        MINUTES,
    ),
    "federation-unreachable": Steps(
        "Entra admin centre > Identity > Settings > Domain names",
        "Get-MgDomain | Format-Table Id, AuthenticationType",
        MINUTES,
    ),
    "federation-not-https": Steps(
        "Entra admin centre > Identity > Settings > Domain names",
        "Get-MgDomain | Format-Table Id, AuthenticationType",
        MINUTES,
    ),
}
