# The app this was set up for. Where it is gone, only the mailboxes are looked after.
if ($ClientId) {
    $Found = @(Get-MgApplication -Filter ("appId eq '{0}'" -f $ClientId))
}
else {
    $Found = @(Get-MgApplication -Filter ("displayName eq '{0}'" -f $AppName))
}
if ($Found.Count -gt 1) {
    throw "There are $($Found.Count) apps named $AppName. Put client_id of the right one into m365gw and print this script again."
}
$App = $null
$Principal = $null
if ($Found.Count -eq 1) {
    $App = $Found[0]
    $Principal = Get-MgServicePrincipal -Filter ("appId eq '{0}'" -f $App.AppId)
}
