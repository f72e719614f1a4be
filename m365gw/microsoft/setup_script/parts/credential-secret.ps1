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
