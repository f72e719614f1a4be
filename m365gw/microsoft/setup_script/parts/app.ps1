# The app registration, and its service principal (the Enterprise application).
Write-Host "App registration"
$App = $null
if ($ClientId) {
    $App = Get-MgApplication -Filter ("appId eq '{0}'" -f $ClientId)
    if (-not $App) {
        throw "There is no app with application id $ClientId in this tenant. Correct client_id or tenant in m365gw, or leave client_id empty to have an app made."
    }
}
else {
    $Found = @(Get-MgApplication -Filter ("displayName eq '{0}'" -f $AppName))
    if ($Found.Count -gt 1) {
        throw "There are $($Found.Count) apps named $AppName. Put client_id of the right one into m365gw and print this script again."
    }
    if ($Found.Count -eq 1) {
        $App = $Found[0]
    }
    elseif (Test-Step -Target $AppName -Action 'Register an app of this tenant alone') {
        $App = New-MgApplication -DisplayName $AppName -SignInAudience 'AzureADMyOrg'
    }
}
if (-not $App) {
    Write-Host "  There is no app yet, so the steps that need it cannot be shown."
    return
}
Write-Done "application id $($App.AppId)"
$Principal = Get-MgServicePrincipal -Filter ("appId eq '{0}'" -f $App.AppId)
if (-not $Principal) {
    if (Test-Step -Target $App.AppId -Action 'Create its service principal') {
        $Principal = New-MgServicePrincipal -AppId $App.AppId
    }
}
if (-not $Principal) {
    Write-Host "  There is no service principal yet, so the steps that need it cannot be shown."
    return
}
Write-Done "object id of the Enterprise application $($Principal.Id)"
