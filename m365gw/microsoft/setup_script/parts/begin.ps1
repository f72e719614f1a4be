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
