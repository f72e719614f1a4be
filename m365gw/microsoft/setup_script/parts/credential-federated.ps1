# The trust in tokens of another issuer: no secret at all.
Write-Host "Federated credential"
if (-not ($Issuer -and $Subject)) {
    throw "Whose tokens? Run this with -Issuer URL -Subject NAME, as the gateway's platform states them."
}
$Known = @(Get-MgApplicationFederatedIdentityCredential -ApplicationId $App.Id | Where-Object { $_.Issuer -eq $Issuer -and $_.Subject -eq $Subject })
if ($Known.Count -gt 0) {
    Write-Done "is there already"
}
elseif (Test-Step -Target $App.AppId -Action "Trust the subject $Subject of $Issuer") {
    $Trust = @{
        Name = $CredentialName
        Issuer = $Issuer
        Subject = $Subject
        Audiences = @('api://AzureADTokenExchange')
    }
    New-MgApplicationFederatedIdentityCredential -ApplicationId $App.Id -BodyParameter $Trust | Out-Null
    Write-Done "added"
}
