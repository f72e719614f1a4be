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
