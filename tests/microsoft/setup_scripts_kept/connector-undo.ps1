<#
.SYNOPSIS
    Removes the inbound connector of the mail gateway m365gw from this tenant.
.DESCRIPTION
    Run it once with -WhatIf: it then shows each step and changes nothing. Running it again is safe.
    Mail of the gateway waits from then on.
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

Write-Host "Inbound connector"
if (-not (Get-InboundConnector -Identity $ConnectorName -ErrorAction SilentlyContinue)) {
    Write-Done "there is no $ConnectorName"
}
elseif (Test-Step -Target $ConnectorName -Action 'Remove the inbound connector') {
    Remove-InboundConnector -Identity $ConnectorName -Confirm:$false
    Write-Done "$ConnectorName was removed"
}
