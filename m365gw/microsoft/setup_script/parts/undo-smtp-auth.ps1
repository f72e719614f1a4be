# SMTP AUTH follows the tenant again. How it was before the set-up, nobody wrote down.
Write-Host "SMTP AUTH"
foreach ($Mailbox in $Mailboxes) {
    if (Test-Step -Target $Mailbox -Action 'Let SMTP AUTH follow the setting of the tenant') {
        Set-CASMailbox -Identity $Mailbox -SmtpClientAuthenticationDisabled $null
        Write-Done "$Mailbox follows the tenant"
    }
}
