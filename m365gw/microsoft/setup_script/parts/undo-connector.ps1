Write-Host "Inbound connector"
if (-not (Get-InboundConnector -Identity $ConnectorName -ErrorAction SilentlyContinue)) {
    Write-Done "there is no $ConnectorName"
}
elseif (Test-Step -Target $ConnectorName -Action 'Remove the inbound connector') {
    Remove-InboundConnector -Identity $ConnectorName -Confirm:$false
    Write-Done "$ConnectorName was removed"
}
