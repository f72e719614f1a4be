# Sign-in by device code needs a public client.
Write-Host "Public client flows"
if ($App.IsFallbackPublicClient) {
    Write-Done "are allowed already"
}
elseif (Test-Step -Target $App.AppId -Action 'Allow public client flows') {
    Update-MgApplication -ApplicationId $App.Id -IsFallbackPublicClient:$true
    Write-Done "allowed"
}
