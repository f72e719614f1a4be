# The certificate: its public half only. The private key never leaves the gateway.
Write-Host "Certificate"
if ($CertificateBase64) {
    $Raw = [System.Convert]::FromBase64String($CertificateBase64)
    $Certificate = New-Object -TypeName System.Security.Cryptography.X509Certificates.X509Certificate2 -ArgumentList (, $Raw)
}
elseif ($CertificateFile) {
    $Path = (Resolve-Path -LiteralPath $CertificateFile).Path
    $Certificate = New-Object -TypeName System.Security.Cryptography.X509Certificates.X509Certificate2 -ArgumentList $Path
}
else {
    throw "Which certificate? Run this with -CertificateFile FILE: the public certificate of the gateway."
}
$Hash = [System.BitConverter]::ToString($Certificate.GetCertHash())
$Keys = @($App.KeyCredentials | Where-Object { $_ })
$Known = @($Keys | Where-Object { $_.CustomKeyIdentifier -and [System.BitConverter]::ToString($_.CustomKeyIdentifier) -eq $Hash })
if ($Known.Count -gt 0) {
    Write-Done "is there already, until $($Certificate.NotAfter)"
}
elseif (Test-Step -Target $App.AppId -Action "Add the certificate that ends on $($Certificate.NotAfter)") {
    $Key = @{
        Type = 'AsymmetricX509Cert'
        Usage = 'Verify'
        Key = $Certificate.RawData
        DisplayName = $CredentialName
    }
    Update-MgApplication -ApplicationId $App.Id -KeyCredentials ($Keys + @($Key))
    Write-Done "added, until $($Certificate.NotAfter)"
}
