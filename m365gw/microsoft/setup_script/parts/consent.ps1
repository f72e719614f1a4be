# The permission, for the users of these mailboxes and nobody else.
Write-Host "Delegated permission $Permission"
$Graph = Get-MgServicePrincipal -Filter ("appId eq '{0}'" -f $GraphAppId)
$Scope = $Graph.Oauth2PermissionScopes | Where-Object { $_.Value -eq $Permission }
$Access = @($App.RequiredResourceAccess | Where-Object { $_ })
$Ids = @($Access | Where-Object { $_.ResourceAppId -eq $GraphAppId } | ForEach-Object { $_.ResourceAccess } | ForEach-Object { $_.Id })
if ($Ids -contains $Scope.Id) {
    Write-Done "the app names it already"
}
elseif (Test-Step -Target $App.AppId -Action "Name the permission $Permission in the app") {
    $Others = @($Access | Where-Object { $_.ResourceAppId -ne $GraphAppId })
    $Same = @($Access | Where-Object { $_.ResourceAppId -eq $GraphAppId } | ForEach-Object { $_.ResourceAccess })
    $Named = @{ ResourceAppId = $GraphAppId; ResourceAccess = ($Same + @(@{ Id = $Scope.Id; Type = 'Scope' })) }
    Update-MgApplication -ApplicationId $App.Id -RequiredResourceAccess ($Others + @($Named))
    Write-Done "named"
}
foreach ($Mailbox in $Mailboxes) {
    $User = Get-MgUser -UserId $Mailbox
    $Grants = @(Get-MgOauth2PermissionGrant -All -Filter ("clientId eq '{0}'" -f $Principal.Id) | Where-Object { $_.ResourceId -eq $Graph.Id -and ($_.ConsentType -eq 'AllPrincipals' -or $_.PrincipalId -eq $User.Id) })
    if (@($Grants | Where-Object { ($_.Scope -split ' ') -contains $Permission }).Count -gt 0) {
        Write-Done "consent for $Mailbox is there already"
    }
    elseif (Test-Step -Target $Mailbox -Action "Consent to $Permission for this user") {
        $Own = @($Grants | Where-Object { $_.PrincipalId -eq $User.Id })
        if ($Own.Count -gt 0) {
            Update-MgOauth2PermissionGrant -OAuth2PermissionGrantId $Own[0].Id -Scope "$($Own[0].Scope) $Permission"
        }
        else {
            $Grant = @{ ClientId = $Principal.Id; ConsentType = 'Principal'; PrincipalId = $User.Id; ResourceId = $Graph.Id; Scope = "offline_access $Permission" }
            New-MgOauth2PermissionGrant -BodyParameter $Grant | Out-Null
        }
        Write-Done "consent for $Mailbox given"
    }
}
