# The connector: type OnPremises is the one that relays to recipients elsewhere.
Write-Host "Accepted domains"
$Accepted = @(Get-AcceptedDomain | ForEach-Object { [string] $_.DomainName })
foreach ($Domain in $Domains) {
    if ($Accepted -notcontains $Domain) {
        throw "$Domain is no accepted domain of this tenant. Add it (Microsoft 365 admin centre, Settings, Domains), or send from another one."
    }
    Write-Done "$Domain is one"
}
$Settings = @{ ConnectorType = 'OnPremises'; SenderDomains = '*'; RequireTls = $true; Enabled = $true }
if ($CertificateName) {
    $Settings['TlsSenderCertificateName'] = $CertificateName
}
else {
    $Settings['SenderIPAddresses'] = $Addresses
}
Write-Host "Inbound connector"
if (Get-InboundConnector -Identity $ConnectorName -ErrorAction SilentlyContinue) {
    if (Test-Step -Target $ConnectorName -Action 'Set the inbound connector anew') {
        Set-InboundConnector -Identity $ConnectorName @Settings
        Write-Done "$ConnectorName was there, and was set anew"
    }
}
elseif (Test-Step -Target $ConnectorName -Action 'Make the inbound connector') {
    $null = New-InboundConnector -Name $ConnectorName @Settings
    Write-Done "$ConnectorName was made"
}
