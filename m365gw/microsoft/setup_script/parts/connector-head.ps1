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
