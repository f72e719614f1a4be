`m365gw mailbox pause`, `resume` and `retry` work while the service is stopped: its next start begins with what they said, and `mailbox list` shows it.
