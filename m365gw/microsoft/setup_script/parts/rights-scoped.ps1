# The right: a role in Exchange that reaches these mailboxes only. The app gets no permission in
# Entra; one there would reach further, or bring in another check.
Write-Host "Role $RoleName for $($Mailboxes.Count) mailboxes"
$Rules = $Mailboxes | ForEach-Object { "PrimarySmtpAddress -eq '" + $_.Replace("'", "''") + "'" }
$Filter = $Rules -join ' -or '
$Scope = Get-ManagementScope -Identity $ScopeName -ErrorAction SilentlyContinue
if (-not $Scope) {
    if (Test-Step -Target $ScopeName -Action "Create a management scope: $Filter") {
        New-ManagementScope -Name $ScopeName -RecipientRestrictionFilter $Filter | Out-Null
        Write-Done "scope created"
    }
}
elseif (Test-Step -Target $ScopeName -Action "Let the management scope be: $Filter") {
    Set-ManagementScope -Identity $ScopeName -RecipientRestrictionFilter $Filter
    Write-Done "scope is as it has to be"
}
if (Get-ManagementRoleAssignment -Identity $AssignmentName -ErrorAction SilentlyContinue) {
    Write-Done "role is assigned already"
}
elseif (Test-Step -Target $AssignmentName -Action "Assign $RoleName within $ScopeName") {
    New-ManagementRoleAssignment -Name $AssignmentName -App $Principal.Id -Role $RoleName -CustomResourceScope $ScopeName | Out-Null
    Write-Done "role assigned"
}
foreach ($Each in @(Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Principal.Id | Where-Object { $_ })) {
    $Resource = Get-MgServicePrincipal -ServicePrincipalId $Each.ResourceId
    $Role = $Resource.AppRoles | Where-Object { $_.Id -eq $Each.AppRoleId }
    if ($Role -and $Role.Value -eq $Permission) {
        Write-Warning "The app also has $Permission in Entra ($($Resource.DisplayName)), for all mailboxes. Remove it: Remove-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $($Principal.Id) -AppRoleAssignmentId $($Each.Id)"
    }
}
