At `/me` people sign in at Microsoft, with work or personal accounts, and get SMTP passwords for their own mailbox: each shown once, listed with its last use, revocable (docs/self-service.md).
