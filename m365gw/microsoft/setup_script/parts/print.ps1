# What m365gw has to know.
$Tenant = (Get-MgContext).TenantId
Write-Host ""
Write-Host "Put this into m365gw, for each mailbox, with its credential:"
foreach ($Mailbox in $Mailboxes) {
    Write-Host ""
    Write-Host "[[mailbox]]"
    Write-Host ('address = "{0}"' -f $Mailbox)
    Write-Host ('flow = "{0}"' -f $Mode)
    Write-Host ('tenant = "{0}"' -f $Tenant)
    Write-Host ('client_id = "{0}"' -f $App.AppId)
    Write-Host ('cloud = "{0}"' -f $Cloud)
    Write-Host ('exit = "{0}"' -f $ExitBy)
}
Write-Host ""
Write-Host "Then, on the gateway: m365gw check; m365gw doctor. New permissions take up to two hours."
