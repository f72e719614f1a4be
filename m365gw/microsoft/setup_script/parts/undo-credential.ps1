# The credentials with the name of the gateway; then, if asked for, the app itself.
Write-Host "Credentials"
if (-not $App) {
    Write-Done "the app is gone already"
    return
}
if ($RemoveApp) {
    if (Test-Step -Target $App.AppId -Action 'Delete the app registration') {
        Remove-MgApplication -ApplicationId $App.Id
        Write-Done "app registration deleted"
    }
    return
}
$Keys = @($App.KeyCredentials | Where-Object { $_ })
$Kept = @($Keys | Where-Object { $_.DisplayName -ne $CredentialName })
if ($Kept.Count -lt $Keys.Count) {
    if (Test-Step -Target $App.AppId -Action 'Remove the certificates of the gateway') {
        Update-MgApplication -ApplicationId $App.Id -KeyCredentials $Kept
        Write-Done "certificates removed"
    }
}
foreach ($Each in @($App.PasswordCredentials | Where-Object { $_ -and $_.DisplayName -eq $CredentialName })) {
    if (Test-Step -Target $App.AppId -Action "Remove the client secret that ends on $($Each.EndDateTime)") {
        Remove-MgApplicationPassword -ApplicationId $App.Id -KeyId $Each.KeyId
        Write-Done "client secret removed"
    }
}
foreach ($Each in @(Get-MgApplicationFederatedIdentityCredential -ApplicationId $App.Id | Where-Object { $_ -and $_.Name -eq $CredentialName })) {
    if (Test-Step -Target $App.AppId -Action "Trust $($Each.Issuer) no more") {
        Remove-MgApplicationFederatedIdentityCredential -ApplicationId $App.Id -FederatedIdentityCredentialId $Each.Id
        Write-Done "federated credential removed"
    }
}
$Uris = @($App.Web.RedirectUris | Where-Object { $_ })
if ($KnownRedirectUri -and $Uris -contains $KnownRedirectUri) {
    if (Test-Step -Target $App.AppId -Action "Remove the redirect URI $KnownRedirectUri") {
        Update-MgApplication -ApplicationId $App.Id -Web @{ RedirectUris = @($Uris | Where-Object { $_ -ne $KnownRedirectUri }) }
        Write-Done "redirect URI removed"
    }
}
if ($Mode -eq 'device') {
    Write-Done "public client flows stay as they are: other users of the app may need them"
}
if (@('web', 'device') -contains $Mode -and $Principal) {
    foreach ($Mailbox in $Mailboxes) {
        $User = Get-MgUser -UserId $Mailbox -ErrorAction SilentlyContinue
        if ($User) {
            foreach ($Each in @(Get-MgOauth2PermissionGrant -All -Filter ("clientId eq '{0}'" -f $Principal.Id) | Where-Object { $_.PrincipalId -eq $User.Id })) {
                if (Test-Step -Target $Mailbox -Action 'Take the consent of this user back') {
                    Remove-MgOauth2PermissionGrant -OAuth2PermissionGrantId $Each.Id
                    Write-Done "consent of $Mailbox taken back"
                }
            }
        }
    }
}
