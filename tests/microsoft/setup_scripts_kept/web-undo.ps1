<#
.SYNOPSIS
    Takes back what the set-up script of the mail gateway m365gw did in this tenant.
.DESCRIPTION
    Run it once with -WhatIf: it then shows each step and changes nothing. Running it again is safe.
    Mail of the gateway waits from then on. The app registration itself stays unless -RemoveApp is
    given: others may use it.
.PARAMETER RemoveApp
    Also deletes the app registration (it can be restored for 30 days).
#>
[CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'Medium')]
param(
    [switch] $RemoveApp
)

# What the gateway is configured for. Nothing below holds a value.
$Mode = 'web'
$ExitBy = 'smtp'
$Cloud = 'worldwide'
$TenantId = 'contoso.onmicrosoft.com'
$ClientId = '11111111-2222-4333-8444-555555555555'
$AppName = 'm365gw'
$Mailboxes = @('relay@contoso.com', 'o''hara@contoso.com')
$Permission = 'SMTP.Send'
$RoleName = 'Application SMTP.Send'
$ScopeName = 'm365gw mailboxes'
$AssignmentName = 'm365gw SMTP.Send'
$GraphEnvironment = 'Global'
$ExchangeEnvironment = 'O365Default'
$CertificateBase64 = 'MIIC'
$KnownRedirectUri = 'https://relay.example.com/auth/callback'
$ShowFirst = $false

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
$Cmdlet = $PSCmdlet
$GraphAppId = '00000003-0000-0000-c000-000000000000'
$ExchangeAppId = '00000002-0000-0ff1-ce00-000000000000'
$CredentialName = 'm365gw'
$OnlyShow = $ShowFirst -and -not $PSBoundParameters.ContainsKey('WhatIf')

function Test-Step {
    # Whether a step is to be done: not with -WhatIf, which shows it.
    param([string] $Target, [string] $Action)
    if ($OnlyShow) {
        Write-Host "  What if: ${Action} (${Target})"
        return $false
    }
    return $Cmdlet.ShouldProcess($Target, $Action)
}

function Write-Done {
    param([string] $Text)
    Write-Host "  $Text"
}

# Modules and sign-in. Nothing is installed by this script.
$Modules = @(
    'Microsoft.Graph.Authentication',
    'Microsoft.Graph.Applications',
    'ExchangeOnlineManagement'
)
$Scopes = @('Application.ReadWrite.All')
if (@('web', 'device') -contains $Mode) {
    $Modules += @('Microsoft.Graph.Users', 'Microsoft.Graph.Identity.SignIns')
    $Scopes += @('DelegatedPermissionGrant.ReadWrite.All', 'User.Read.All')
}
else {
    $Scopes += @('AppRoleAssignment.ReadWrite.All')
}
foreach ($Module in $Modules) {
    if (-not (Get-Module -ListAvailable -Name $Module)) {
        throw "The PowerShell module $Module is missing. Install it, then run this again: Install-Module $Module -Scope CurrentUser"
    }
}
Write-Host "Sign in twice: to Entra (Microsoft Graph), then to Exchange Online."
Connect-MgGraph -TenantId $TenantId -Environment $GraphEnvironment -Scopes $Scopes -NoWelcome
Connect-ExchangeOnline -ExchangeEnvironmentName $ExchangeEnvironment -ShowBanner:$false
foreach ($Mailbox in $Mailboxes) {
    if (-not (Get-EXOMailbox -Identity $Mailbox -ErrorAction SilentlyContinue)) {
        throw "There is no mailbox $Mailbox in this tenant. Correct its address in m365gw, or give the user an Exchange Online licence."
    }
}

# The app this was set up for. Where it is gone, only the mailboxes are looked after.
if ($ClientId) {
    $Found = @(Get-MgApplication -Filter ("appId eq '{0}'" -f $ClientId))
}
else {
    $Found = @(Get-MgApplication -Filter ("displayName eq '{0}'" -f $AppName))
}
if ($Found.Count -gt 1) {
    throw "There are $($Found.Count) apps named $AppName. Put client_id of the right one into m365gw and print this script again."
}
$App = $null
$Principal = $null
if ($Found.Count -eq 1) {
    $App = $Found[0]
    $Principal = Get-MgServicePrincipal -Filter ("appId eq '{0}'" -f $App.AppId)
}

# SMTP AUTH follows the tenant again. How it was before the set-up, nobody wrote down.
Write-Host "SMTP AUTH"
foreach ($Mailbox in $Mailboxes) {
    if (Test-Step -Target $Mailbox -Action 'Let SMTP AUTH follow the setting of the tenant') {
        Set-CASMailbox -Identity $Mailbox -SmtpClientAuthenticationDisabled $null
        Write-Done "$Mailbox follows the tenant"
    }
}

# The credentials with the name of the gateway; then, if asked for, the app itself.
Write-Host "Credentials"
if (-not $App) {
    Write-Done "the app is gone already"
    return
}
if ($RemoveApp) {
    if (Test-Step -Target $App.AppId -Action 'Delete the app registration') {
        Remove-MgApplication -ApplicationId $App.Id
        Write-Done "app registration deleted"
    }
    return
}
$Keys = @($App.KeyCredentials | Where-Object { $_ })
$Kept = @($Keys | Where-Object { $_.DisplayName -ne $CredentialName })
if ($Kept.Count -lt $Keys.Count) {
    if (Test-Step -Target $App.AppId -Action 'Remove the certificates of the gateway') {
        Update-MgApplication -ApplicationId $App.Id -KeyCredentials $Kept
        Write-Done "certificates removed"
    }
}
foreach ($Each in @($App.PasswordCredentials | Where-Object { $_ -and $_.DisplayName -eq $CredentialName })) {
    if (Test-Step -Target $App.AppId -Action "Remove the client secret that ends on $($Each.EndDateTime)") {
        Remove-MgApplicationPassword -ApplicationId $App.Id -KeyId $Each.KeyId
        Write-Done "client secret removed"
    }
}
foreach ($Each in @(Get-MgApplicationFederatedIdentityCredential -ApplicationId $App.Id | Where-Object { $_ -and $_.Name -eq $CredentialName })) {
    if (Test-Step -Target $App.AppId -Action "Trust $($Each.Issuer) no more") {
        Remove-MgApplicationFederatedIdentityCredential -ApplicationId $App.Id -FederatedIdentityCredentialId $Each.Id
        Write-Done "federated credential removed"
    }
}
$Uris = @($App.Web.RedirectUris | Where-Object { $_ })
if ($KnownRedirectUri -and $Uris -contains $KnownRedirectUri) {
    if (Test-Step -Target $App.AppId -Action "Remove the redirect URI $KnownRedirectUri") {
        Update-MgApplication -ApplicationId $App.Id -Web @{ RedirectUris = @($Uris | Where-Object { $_ -ne $KnownRedirectUri }) }
        Write-Done "redirect URI removed"
    }
}
if ($Mode -eq 'device') {
    Write-Done "public client flows stay as they are: other users of the app may need them"
}
if (@('web', 'device') -contains $Mode -and $Principal) {
    foreach ($Mailbox in $Mailboxes) {
        $User = Get-MgUser -UserId $Mailbox -ErrorAction SilentlyContinue
        if ($User) {
            foreach ($Each in @(Get-MgOauth2PermissionGrant -All -Filter ("clientId eq '{0}'" -f $Principal.Id) | Where-Object { $_.PrincipalId -eq $User.Id })) {
                if (Test-Step -Target $Mailbox -Action 'Take the consent of this user back') {
                    Remove-MgOauth2PermissionGrant -OAuth2PermissionGrantId $Each.Id
                    Write-Done "consent of $Mailbox taken back"
                }
            }
        }
    }
}
