# The role, its scope, and what Exchange knows of the app.
Write-Host "Role and scope"
if (Get-ManagementRoleAssignment -Identity $AssignmentName -ErrorAction SilentlyContinue) {
    if (Test-Step -Target $AssignmentName -Action 'Remove the role assignment') {
        Remove-ManagementRoleAssignment -Identity $AssignmentName -Confirm:$false
        Write-Done "role assignment removed"
    }
}
if (Get-ManagementScope -Identity $ScopeName -ErrorAction SilentlyContinue) {
    if (Test-Step -Target $ScopeName -Action 'Remove the management scope') {
        Remove-ManagementScope -Identity $ScopeName -Confirm:$false
        Write-Done "scope removed"
    }
}
if ($App) {
    foreach ($Each in @(Get-ServicePrincipal | Where-Object { $_.AppId -eq $App.AppId })) {
        if (Test-Step -Target $Each.ObjectId -Action 'Let Exchange forget the app') {
            Remove-ServicePrincipal -Identity $Each.Identity -Confirm:$false
            Write-Done "Exchange has forgotten the app"
        }
    }
}
