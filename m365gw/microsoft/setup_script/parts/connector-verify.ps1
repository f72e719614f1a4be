# What there is now. A new connector may take an hour to be in force.
Write-Host "Verification"
Get-InboundConnector | Format-List Name, Enabled, ConnectorType, TlsSenderCertificateName, SenderIPAddresses, RequireTls
Write-Host "Then, on the gateway: m365gw doctor. D10 asks the connector for a recipient elsewhere."
