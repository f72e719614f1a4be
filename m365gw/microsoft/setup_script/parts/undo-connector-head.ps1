<#
.SYNOPSIS
    Removes the inbound connector of the mail gateway m365gw from this tenant.
.DESCRIPTION
    Run it once with -WhatIf: it then shows each step and changes nothing. Running it again is safe.
    Mail of the gateway waits from then on.
#>
[CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'Medium')]
param()
