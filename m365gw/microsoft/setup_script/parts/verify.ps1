# What Exchange makes of it. A role that was just assigned may take up to two hours to be in force.
Write-Host "Verification"
foreach ($Mailbox in $Mailboxes) {
    Write-Done $Mailbox
    try {
        Test-ServicePrincipalAuthorization -Identity $Principal.Id -Resource $Mailbox | Format-Table RoleName, GrantedPermissions, AllowedResourceScope, InScope
    }
    catch {
        Write-Warning "Exchange cannot tell yet: $($_.Exception.Message)"
    }
}
