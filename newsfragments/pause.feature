`m365gw mailbox pause ADDRESS --why WORDS`, `resume` and `retry` stop a mailbox and let it go on, at once and over restarts; its mail is kept and does not grow older.
