`m365gw mailbox pause`, `resume` and `retry` stop a mailbox and let it go on, with the service running or stopped. Its mail is kept, and does not age while it cannot be sent.
