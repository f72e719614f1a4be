<#
.SYNOPSIS
    Sets this tenant up for the mail gateway m365gw.
.DESCRIPTION
    Run it once with -WhatIf: it then shows each step and changes nothing. Running it again is safe;
    what is there already is left as it is. Whoever runs it must be Exchange administrator and
    Application administrator (or Cloud application administrator) of the tenant.
    Undo it with the script that "m365gw script entra --undo" prints.
.PARAMETER CertificateFile
    For mode certificate without one in the script: the public certificate (.cer, .crt, .pem).
.PARAMETER RedirectUri
    For mode web without one in the script: https://GATEWAY/auth/callback
.PARAMETER Issuer
    For mode federated: who issues the gateway's own tokens.
.PARAMETER Subject
    For mode federated: the subject of these tokens.
#>
[CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'Medium')]
param(
    [string] $CertificateFile = '',
    [string] $RedirectUri = '',
    [string] $Issuer = '',
    [string] $Subject = ''
)

# What the gateway is configured for. Nothing below holds a value.
$Mode = 'secret'
$ExitBy = 'smtp'
$Cloud = 'worldwide'
$TenantId = 'contoso.onmicrosoft.com'
$ClientId = '11111111-2222-4333-8444-555555555555'
$AppName = 'm365gw'
$Mailboxes = @('relay@contoso.com', 'o''hara@contoso.com')
$Permission = 'SMTP.SendAsApp'
$RoleName = 'Application SMTP.SendAsApp'
$ScopeName = 'm365gw mailboxes'
$AssignmentName = 'm365gw SMTP.SendAsApp'
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

# The app registration, and its service principal (the Enterprise application).
Write-Host "App registration"
$App = $null
if ($ClientId) {
    $App = Get-MgApplication -Filter ("appId eq '{0}'" -f $ClientId)
    if (-not $App) {
        throw "There is no app with application id $ClientId in this tenant. Correct client_id or tenant in m365gw, or leave client_id empty to have an app made."
    }
}
else {
    $Found = @(Get-MgApplication -Filter ("displayName eq '{0}'" -f $AppName))
    if ($Found.Count -gt 1) {
        throw "There are $($Found.Count) apps named $AppName. Put client_id of the right one into m365gw and print this script again."
    }
    if ($Found.Count -eq 1) {
        $App = $Found[0]
    }
    elseif (Test-Step -Target $AppName -Action 'Register an app of this tenant alone') {
        $App = New-MgApplication -DisplayName $AppName -SignInAudience 'AzureADMyOrg'
    }
}
if (-not $App) {
    Write-Host "  There is no app yet, so the steps that need it cannot be shown."
    return
}
Write-Done "application id $($App.AppId)"
$Principal = Get-MgServicePrincipal -Filter ("appId eq '{0}'" -f $App.AppId)
if (-not $Principal) {
    if (Test-Step -Target $App.AppId -Action 'Create its service principal') {
        $Principal = New-MgServicePrincipal -AppId $App.AppId
    }
}
if (-not $Principal) {
    Write-Host "  There is no service principal yet, so the steps that need it cannot be shown."
    return
}
Write-Done "object id of the Enterprise application $($Principal.Id)"

# The client secret. Its value is shown once, here; a certificate lasts longer and is never shown.
Write-Host "Client secret"
$Limit = (Get-Date).ToUniversalTime().AddDays(30)
$Known = @($App.PasswordCredentials | Where-Object { $_ -and $_.DisplayName -eq $CredentialName -and $_.EndDateTime -gt $Limit })
if ($Known.Count -gt 0) {
    Write-Done "there is one until $($Known[0].EndDateTime); nobody can show its value again"
}
elseif (Test-Step -Target $App.AppId -Action 'Add a client secret for one year') {
    $Password = @{ DisplayName = $CredentialName; EndDateTime = (Get-Date).ToUniversalTime().AddYears(1) }
    $Made = Add-MgApplicationPassword -ApplicationId $App.Id -PasswordCredential $Password
    Write-Host ""
    Write-Host "  Copy this into the file of client_secret_file, and clear the screen:"
    Write-Host "  $($Made.SecretText)"
    Write-Host ""
}

# Exchange must know the app: by the object id of the Enterprise application. The one of the App
# registration is taken without a word, and then every sign-in fails with 535 5.7.3.
Write-Host "Service principal in Exchange Online"
$Listed = @(Get-ServicePrincipal | Where-Object { $_.AppId -eq $App.AppId })
$Wrong = @($Listed | Where-Object { $_.ObjectId -ne $Principal.Id })
foreach ($Each in $Wrong) {
    if (Test-Step -Target $Each.ObjectId -Action 'Remove the service principal with a wrong object id') {
        Remove-ServicePrincipal -Identity $Each.Identity -Confirm:$false
    }
}
if ($Listed.Count -gt $Wrong.Count) {
    Write-Done "is there already"
}
elseif (Test-Step -Target $Principal.Id -Action 'Make the app known to Exchange Online') {
    New-ServicePrincipal -AppId $App.AppId -ObjectId $Principal.Id -DisplayName $AppName | Out-Null
    Write-Done "made known"
}

# The right: a role in Exchange that reaches these mailboxes only. The app gets no permission in
# Entra; one there would reach further, or bring in another check.
Write-Host "Role $RoleName for $($Mailboxes.Count) mailboxes"
$Rules = $Mailboxes | ForEach-Object { "PrimarySmtpAddress -eq '" + $_.Replace("'", "''") + "'" }
$Filter = $Rules -join ' -or '
$Scope = Get-ManagementScope -Identity $ScopeName -ErrorAction SilentlyContinue
if (-not $Scope) {
    if (Test-Step -Target $ScopeName -Action "Create a management scope: $Filter") {
        New-ManagementScope -Name $ScopeName -RecipientRestrictionFilter $Filter | Out-Null
        Write-Done "scope created"
    }
}
elseif (Test-Step -Target $ScopeName -Action "Let the management scope be: $Filter") {
    Set-ManagementScope -Identity $ScopeName -RecipientRestrictionFilter $Filter
    Write-Done "scope is as it has to be"
}
if (Get-ManagementRoleAssignment -Identity $AssignmentName -ErrorAction SilentlyContinue) {
    Write-Done "role is assigned already"
}
elseif (Test-Step -Target $AssignmentName -Action "Assign $RoleName within $ScopeName") {
    New-ManagementRoleAssignment -Name $AssignmentName -App $Principal.Id -Role $RoleName -CustomResourceScope $ScopeName | Out-Null
    Write-Done "role assigned"
}
foreach ($Each in @(Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Principal.Id | Where-Object { $_ })) {
    $Resource = Get-MgServicePrincipal -ServicePrincipalId $Each.ResourceId
    $Role = $Resource.AppRoles | Where-Object { $_.Id -eq $Each.AppRoleId }
    if ($Role -and $Role.Value -eq $Permission) {
        Write-Warning "The app also has $Permission in Entra ($($Resource.DisplayName)), for all mailboxes. Remove it: Remove-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $($Principal.Id) -AppRoleAssignmentId $($Each.Id)"
    }
}

# The switch for SMTP AUTH, which concerns OAuth too: these mailboxes only, not the tenant.
Write-Host "SMTP AUTH"
foreach ($Mailbox in $Mailboxes) {
    if ((Get-CASMailbox -Identity $Mailbox).SmtpClientAuthenticationDisabled -eq $false) {
        Write-Done "is on for $Mailbox already"
    }
    elseif (Test-Step -Target $Mailbox -Action 'Switch SMTP AUTH on') {
        Set-CASMailbox -Identity $Mailbox -SmtpClientAuthenticationDisabled $false
        Write-Done "switched on for $Mailbox"
    }
}

# What Exchange makes of it. A role that was just assigned may take up to two hours to be in force.
Write-Host "Verification"
foreach ($Mailbox in $Mailboxes) {
    Write-Done $Mailbox
    try {
        Test-ServicePrincipalAuthorization -Identity $Principal.Id -Resource $Mailbox | Format-Table RoleName, GrantedPermissions, AllowedResourceScope, InScope
    }
    catch {
        Write-Warning "Exchange cannot tell yet: $($_.Exception.Message)"
    }
}

# What m365gw has to know.
$Tenant = (Get-MgContext).TenantId
Write-Host ""
Write-Host "Put this into m365gw, for each mailbox, with its credential:"
foreach ($Mailbox in $Mailboxes) {
    Write-Host ""
    Write-Host "[[mailbox]]"
    Write-Host ('address = "{0}"' -f $Mailbox)
    Write-Host ('flow = "{0}"' -f $Mode)
    Write-Host ('tenant = "{0}"' -f $Tenant)
    Write-Host ('client_id = "{0}"' -f $App.AppId)
    Write-Host ('cloud = "{0}"' -f $Cloud)
    Write-Host ('exit = "{0}"' -f $ExitBy)
}
Write-Host ""
Write-Host "Then, on the gateway: m365gw check; m365gw doctor. New permissions take up to two hours."
