# Module and sign-in. Nothing is installed by this script.
if (-not (Get-Module -ListAvailable -Name 'ExchangeOnlineManagement')) {
    throw "The PowerShell module ExchangeOnlineManagement is missing. Install it, then run this again: Install-Module ExchangeOnlineManagement -Scope CurrentUser"
}
Write-Host "Sign in to Exchange Online."
Connect-ExchangeOnline -ExchangeEnvironmentName $ExchangeEnvironment -ShowBanner:$false
