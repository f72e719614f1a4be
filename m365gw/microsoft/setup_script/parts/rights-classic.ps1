# The right, where this cloud has no scoped role for SMTP: the permission in Entra, which alone
# opens nothing, and full access to each of these mailboxes.
Write-Host "Permission $Permission, and access to $($Mailboxes.Count) mailboxes"
$Exchange = Get-MgServicePrincipal -Filter ("appId eq '{0}'" -f $ExchangeAppId)
$Role = $Exchange.AppRoles | Where-Object { $_.Value -eq $Permission }
$Assigned = @(Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Principal.Id | Where-Object { $_ -and $_.AppRoleId -eq $Role.Id })
if ($Assigned.Count -gt 0) {
    Write-Done "$Permission is granted already"
}
elseif (Test-Step -Target $App.AppId -Action "Grant $Permission of Office 365 Exchange Online") {
    New-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Principal.Id -PrincipalId $Principal.Id -ResourceId $Exchange.Id -AppRoleId $Role.Id | Out-Null
    Write-Done "$Permission granted"
}
$Known = @(Get-ServicePrincipal | Where-Object { $_.AppId -eq $App.AppId })
if ($Known.Count -eq 0) {
    Write-Host "  Exchange does not know the app yet, so access to mailboxes cannot be shown."
    return
}
foreach ($Mailbox in $Mailboxes) {
    $Rights = @(Get-MailboxPermission -Identity $Mailbox -User $Known[0].Identity -ErrorAction SilentlyContinue | Where-Object { $_ -and $_.AccessRights -contains 'FullAccess' })
    if ($Rights.Count -gt 0) {
        Write-Done "access to $Mailbox is there already"
    }
    elseif (Test-Step -Target $Mailbox -Action 'Give the app full access') {
        Add-MailboxPermission -Identity $Mailbox -User $Known[0].Identity -AccessRights FullAccess | Out-Null
        Write-Done "access to $Mailbox given"
    }
}
