# Sign-in in the browser: where Microsoft may return to, and the secret of the gateway.
Write-Host "Redirect URI"
$Uri = $KnownRedirectUri
if ($RedirectUri) {
    $Uri = $RedirectUri
}
if (-not $Uri) {
    throw "Where does Microsoft return to? Run this with -RedirectUri https://GATEWAY/auth/callback, or set [web] public_url in m365gw."
}
$Uris = @($App.Web.RedirectUris | Where-Object { $_ })
if ($Uris -contains $Uri) {
    Write-Done "$Uri is there already"
}
elseif (Test-Step -Target $App.AppId -Action "Add the redirect URI $Uri") {
    Update-MgApplication -ApplicationId $App.Id -Web @{ RedirectUris = ($Uris + @($Uri)) }
    Write-Done "$Uri added"
}
# The client secret. Its value is shown once, here; a certificate lasts longer and is never shown.
Write-Host "Client secret"
$Limit = (Get-Date).ToUniversalTime().AddDays(30)
$Known = @($App.PasswordCredentials | Where-Object { $_ -and $_.DisplayName -eq $CredentialName -and $_.EndDateTime -gt $Limit })
if ($Known.Count -gt 0) {
    Write-Done "there is one until $($Known[0].EndDateTime); nobody can show its value again"
}
elseif (Test-Step -Target $App.AppId -Action 'Add a client secret for one year') {
    $Password = @{ DisplayName = $CredentialName; EndDateTime = (Get-Date).ToUniversalTime().AddYears(1) }
    $Made = Add-MgApplicationPassword -ApplicationId $App.Id -PasswordCredential $Password
    Write-Host ""
    Write-Host "  Copy this into the file of client_secret_file, and clear the screen:"
    Write-Host "  $($Made.SecretText)"
    Write-Host ""
}
