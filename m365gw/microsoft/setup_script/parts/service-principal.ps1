# Exchange must know the app: by the object id of the Enterprise application. The one of the App
# registration is taken without a word, and then every sign-in fails with 535 5.7.3.
Write-Host "Service principal in Exchange Online"
$Listed = @(Get-ServicePrincipal | Where-Object { $_.AppId -eq $App.AppId })
$Wrong = @($Listed | Where-Object { $_.ObjectId -ne $Principal.Id })
foreach ($Each in $Wrong) {
    if (Test-Step -Target $Each.ObjectId -Action 'Remove the service principal with a wrong object id') {
        Remove-ServicePrincipal -Identity $Each.Identity -Confirm:$false
    }
}
if ($Listed.Count -gt $Wrong.Count) {
    Write-Done "is there already"
}
elseif (Test-Step -Target $Principal.Id -Action 'Make the app known to Exchange Online') {
    New-ServicePrincipal -AppId $App.AppId -ObjectId $Principal.Id -DisplayName $AppName | Out-Null
    Write-Done "made known"
}
