<#
.SYNOPSIS
    Makes the inbound connector by which this tenant takes mail of the mail gateway m365gw.
.DESCRIPTION
    Run it once with -WhatIf: it then shows each step and changes nothing. Running it again is safe.
    Whoever runs it must be Exchange administrator of the tenant.
    Undo it with the script that "m365gw script connector --undo" prints.
#>
[CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'Medium')]
param()

# What the gateway is configured for. Nothing below holds a value.
$ConnectorName = 'm365gw relay.contoso.com'
$Domains = @('contoso.com')
$CertificateName = 'relay.contoso.com'
$Addresses = @()
$ExchangeEnvironment = 'O365Default'
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

# Module and sign-in. Nothing is installed by this script.
if (-not (Get-Module -ListAvailable -Name 'ExchangeOnlineManagement')) {
    throw "The PowerShell module ExchangeOnlineManagement is missing. Install it, then run this again: Install-Module ExchangeOnlineManagement -Scope CurrentUser"
}
Write-Host "Sign in to Exchange Online."
Connect-ExchangeOnline -ExchangeEnvironmentName $ExchangeEnvironment -ShowBanner:$false

# The connector: type OnPremises is the one that relays to recipients elsewhere.
Write-Host "Accepted domains"
$Accepted = @(Get-AcceptedDomain | ForEach-Object { [string] $_.DomainName })
foreach ($Domain in $Domains) {
    if ($Accepted -notcontains $Domain) {
        throw "$Domain is no accepted domain of this tenant. Add it (Microsoft 365 admin centre, Settings, Domains), or send from another one."
    }
    Write-Done "$Domain is one"
}
$Settings = @{ ConnectorType = 'OnPremises'; SenderDomains = '*'; RequireTls = $true; Enabled = $true }
if ($CertificateName) {
    $Settings['TlsSenderCertificateName'] = $CertificateName
}
else {
    $Settings['SenderIPAddresses'] = $Addresses
}
Write-Host "Inbound connector"
if (Get-InboundConnector -Identity $ConnectorName -ErrorAction SilentlyContinue) {
    if (Test-Step -Target $ConnectorName -Action 'Set the inbound connector anew') {
        Set-InboundConnector -Identity $ConnectorName @Settings
        Write-Done "$ConnectorName was there, and was set anew"
    }
}
elseif (Test-Step -Target $ConnectorName -Action 'Make the inbound connector') {
    $null = New-InboundConnector -Name $ConnectorName @Settings
    Write-Done "$ConnectorName was made"
}

# What there is now. A new connector may take an hour to be in force.
Write-Host "Verification"
Get-InboundConnector | Format-List Name, Enabled, ConnectorType, TlsSenderCertificateName, SenderIPAddresses, RequireTls
Write-Host "Then, on the gateway: m365gw doctor. D10 asks the connector for a recipient elsewhere."
