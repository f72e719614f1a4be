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
