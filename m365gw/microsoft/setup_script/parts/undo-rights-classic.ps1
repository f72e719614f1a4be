# Access to the mailboxes, the permission in Entra, and what Exchange knows of the app.
Write-Host "Access and permission"
if ($App) {
    foreach ($Each in @(Get-ServicePrincipal | Where-Object { $_.AppId -eq $App.AppId })) {
        foreach ($Mailbox in $Mailboxes) {
            if (Test-Step -Target $Mailbox -Action 'Take full access from the app') {
                Remove-MailboxPermission -Identity $Mailbox -User $Each.Identity -AccessRights FullAccess -Confirm:$false
                Write-Done "access to $Mailbox taken"
            }
        }
        if (Test-Step -Target $Each.ObjectId -Action 'Let Exchange forget the app') {
            Remove-ServicePrincipal -Identity $Each.Identity -Confirm:$false
            Write-Done "Exchange has forgotten the app"
        }
    }
}
if ($Principal) {
    $Exchange = Get-MgServicePrincipal -Filter ("appId eq '{0}'" -f $ExchangeAppId)
    $Role = $Exchange.AppRoles | Where-Object { $_.Value -eq $Permission }
    foreach ($Each in @(Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Principal.Id | Where-Object { $_ -and $_.AppRoleId -eq $Role.Id })) {
        if (Test-Step -Target $App.AppId -Action "Take $Permission from the app") {
            Remove-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Principal.Id -AppRoleAssignmentId $Each.Id
            Write-Done "$Permission taken"
        }
    }
}
