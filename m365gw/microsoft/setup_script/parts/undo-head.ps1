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
