# The switch for SMTP AUTH, which concerns OAuth too: these mailboxes only, not the tenant.
Write-Host "SMTP AUTH"
foreach ($Mailbox in $Mailboxes) {
    if ((Get-CASMailbox -Identity $Mailbox).SmtpClientAuthenticationDisabled -eq $false) {
        Write-Done "is on for $Mailbox already"
    }
    elseif (Test-Step -Target $Mailbox -Action 'Switch SMTP AUTH on') {
        Set-CASMailbox -Identity $Mailbox -SmtpClientAuthenticationDisabled $false
        Write-Done "switched on for $Mailbox"
    }
}
